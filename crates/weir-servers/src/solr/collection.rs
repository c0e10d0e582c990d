//! Collections, and the config sets they are made with.

/// For syslog, with everything that is needed to find it again and nothing else.
const SCHEMA: &str = r#"<schema name="syslog" version="1.6">
  <uniqueKey>id</uniqueKey>
  <fieldType name="string" class="solr.StrField" sortMissingLast="true" docValues="true"/>
  <fieldType name="int" class="solr.IntPointField" docValues="true"/>
  <fieldType name="long" class="solr.LongPointField" docValues="true"/>
  <fieldType name="date" class="solr.DatePointField" docValues="true"/>
  <fieldType name="text" class="solr.TextField">
    <analyzer><tokenizer name="standard"/><filter name="lowercase"/></analyzer>
  </fieldType>
  <field name="id" type="string" required="true"/>
  <field name="_version_" type="long" indexed="false" stored="false"/>
  <field name="ts" type="date"/>
  <field name="host" type="string"/>
  <field name="app" type="string"/>
  <field name="pid" type="int"/>
  <field name="facility" type="int"/>
  <field name="severity" type="int"/>
  <field name="msg" type="text"/>
</schema>
"#;
/// Found a second after it was taken, on the disk 15 s after; the update log keeps what lies between over a crash.
const CONFIGURATION: &str = r#"<config>
  <luceneMatchVersion>9.12</luceneMatchVersion>
  <schemaFactory class="ClassicIndexSchemaFactory"/>
  <directoryFactory name="DirectoryFactory" class="solr.NRTCachingDirectoryFactory"/>
  <indexConfig><ramBufferSizeMB>64</ramBufferSizeMB><lockType>${solr.lock.type:native}</lockType></indexConfig>
  <updateHandler class="solr.DirectUpdateHandler2">
    <updateLog/>
    <autoCommit><maxTime>15000</maxTime><openSearcher>false</openSearcher></autoCommit>
    <autoSoftCommit><maxTime>1000</maxTime></autoSoftCommit>
  </updateHandler>
  <requestHandler name="/select" class="solr.SearchHandler"/>
</config>
"#;

/// A collection to create.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Collection {
    /// Its name, also that of its config set. Letters, digits and `-` only: it becomes part of addresses as it is.
    pub name: String,
    /// Number of shards.
    pub shards: u32,
    /// On how many nodes each shard is; at most as many as there are.
    pub replicas: u32,
    /// `schema.xml`.
    pub schema: String,
    /// `solrconfig.xml`.
    pub configuration: String,
}

impl Collection {
    /// One shard on one node, with fields for syslog: `id`, `ts`, `host`, `app`, `pid`, `facility`, `severity`, `msg`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            shards: 1,
            replicas: 1,
            schema: SCHEMA.to_owned(),
            configuration: CONFIGURATION.to_owned(),
        }
    }
}
