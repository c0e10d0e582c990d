//! HDFS client: Hadoop's own protocol and WebHDFS behind one trait.

pub mod configuration;
