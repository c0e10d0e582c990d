//! SolrCloud client for indexing: routed updates, flow control.
