use std::fs;

use super::{Cluster, NameNode, Properties, Transport};

const HA_CORE: &str =
    "<?xml version=\"1.0\"?>\n<?xml-stylesheet type=\"text/xsl\" href=\"configuration.xsl\"?>\n<configuration>
<!-- of an administrator -->
<property><name>fs.defaultFS</name><value>hdfs://${service}</value></property>
<property><name>service</name><value>events</value><final>true</final></property>
</configuration>";
const HA_HDFS: &str = "<configuration>
<property><name>dfs.nameservices</name><value>events, other</value></property>
<property><name>dfs.ha.namenodes.events</name><value>nn1,nn2</value></property>
<property><name>dfs.namenode.rpc-address.events.nn1</name><value>one.example:8020</value></property>
<property><name>dfs.namenode.rpc-address.events.nn2</name><value>${env.SECOND-nobody}</value></property>
<property><name>dfs.namenode.http-address.events.nn1</name><value>0.0.0.0:50070</value></property>
<property><name>dfs.namenode.http-address.events.nn2</name><value>two.example</value></property>
<property><name>dfs.replication</name><value>2</value></property>
<property><name>dfs.blocksize</name><value>64m</value></property>
<property><name>hadoop.security.authentication</name><value>kerberos</value></property>
<property><name>dfs.namenode.kerberos.principal</name><value>nn/_HOST@EXAMPLE</value></property>
<property><name>dfs.client.use.datanode.hostname</name><value>true</value></property>
</configuration>";

fn environment(name: &str) -> Option<String> {
    (name == "SECOND").then(|| "two.example".to_owned())
}

fn properties(core: &str, hdfs: &str) -> Properties {
    try_properties(core, hdfs).expect("both are configurations")
}

fn try_properties(core: &str, hdfs: &str) -> Result<Properties, String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("core-site.xml", core), ("hdfs-site.xml", hdfs)] {
        if !text.is_empty() {
            fs::write(folder.path().join(name), text).expect("a file");
        }
    }
    let place = folder.path().display().to_string();
    Properties::load_with(folder.path(), environment).map_err(|error| error.to_string().replace(&place, "DIR"))
}

fn one(name: &str, value: &str) -> String {
    format!("<configuration>\n\n<property><name>{name}</name>\n<value>{value}</value></property></configuration>")
}

fn refused(url: &str, properties: &Properties) -> String {
    let text = Cluster::find(url, properties).expect_err("this is to be refused").to_string();
    match text.find("core-site.xml") {
        Some(at) => text[at..].to_owned(),
        None => text,
    }
}

/// Scenario: the files of a cluster with two NameNodes, references, an environment variable and a wildcard address.
/// Guarantees: a path alone, and the name of the service, give both NameNodes with the addresses of every protocol.
#[test]
fn a_name_service_is_found_in_the_files() {
    let properties = properties(HA_CORE, HA_HDFS);
    let cluster = Cluster::find("/events/syslog/", &properties).expect("a cluster");
    assert_eq!(cluster.transport, Transport::Native);
    assert_eq!((cluster.name.as_str(), cluster.path.as_str()), ("events", "/events/syslog"));
    assert_eq!(cluster.rpc_addresses(), ["one.example:8020", "two.example:8020"]);
    assert_eq!(cluster.web_addresses(false), ["one.example:50070", "two.example:9870"]);
    assert_eq!((cluster.replication, cluster.block_bytes), (Some(2), Some(64 << 20)));
    assert!(cluster.kerberos && cluster.by_hostname && !cluster.data_encrypted);
    assert_eq!(cluster.principal.as_deref(), Some("nn/_HOST@EXAMPLE"));

    let web = Cluster::find("webhdfs://events", &properties).expect("a cluster");
    assert_eq!((web.transport, web.path.as_str()), (Transport::Web { tls: false }, "/"));
    assert_eq!(web.web_addresses(false).len(), 2);
    let error = refused("swebhdfs://events", &properties);
    let expected =
        "property dfs.namenode.https-address.events.nn1 is not set, but name service events needs it to be reached";
    assert_eq!(error, expected);
}

/// Scenario: URLs without any file.
/// Guarantees: they name the cluster by themselves, with Hadoop's ports where they give none.
#[test]
fn a_url_alone_is_enough() {
    let none = Properties::default();
    let cluster = Cluster::find("hdfs://nn.example/a", &none).expect("a cluster");
    assert_eq!(cluster.namenodes, [NameNode { rpc: Some("nn.example:8020".into()), ..NameNode::default() }]);
    let cluster = Cluster::find("webhdfs://gate.example:14000/a/b", &none).expect("a cluster");
    assert_eq!(cluster.web_addresses(false), ["gate.example:14000"]);
    let cluster = Cluster::find("swebhdfs://[::1]", &none).expect("a cluster");
    assert_eq!(cluster.web_addresses(true), ["[::1]:9871"]);
    let cluster = Cluster::find("file:///var/data/", &none).expect("a cluster");
    assert_eq!((cluster.transport, cluster.folder().to_str()), (Transport::Local, Some("/var/data")));
}

/// Scenario: one NameNode without a name service, its web address among the properties.
/// Guarantees: the fall-back knows where WebHDFS is, but not for another NameNode than the configured one.
#[test]
fn the_web_address_of_a_single_namenode_is_known() {
    let properties =
        properties(&one("fs.defaultFS", "hdfs://nn.example:8020/"), &one("dfs.namenode.http-address", "0.0.0.0:9870"));
    let cluster = Cluster::find("hdfs://nn.example/a", &properties).expect("a cluster");
    assert_eq!(cluster.web_addresses(false), ["nn.example:9870"]);
    let other = Cluster::find("hdfs://other.example/a", &properties).expect("a cluster");
    assert!(other.web_addresses(false).is_empty());
}

/// Scenario: files and values that are wrong in many ways.
/// Guarantees: the message names file, line and property.
#[test]
fn errors_say_where() {
    let refused_value = |name: &str, value: &str| refused("hdfs://nn/a", &properties(&one(name, value), ""));
    assert_eq!(
        refused_value("dfs.replication", "many"),
        "core-site.xml:3: property dfs.replication: \"many\" is not a number from 1 to 512"
    );
    assert_eq!(
        refused_value("dfs.blocksize", "${block}"),
        "core-site.xml:3: property dfs.blocksize: refers to ${block}, which is not set"
    );
    assert_eq!(
        refused_value("dfs.blocksize", "${dfs.blocksize}"),
        "core-site.xml:3: property dfs.blocksize: refers to itself, or to more than 20 others"
    );
    assert_eq!(
        refused("/a", &properties(&one("fs.defaultFS", "viewfs://all"), "")),
        "core-site.xml:3: property fs.defaultFS: the scheme is none of hdfs, webhdfs, swebhdfs, file"
    );
    let text = try_properties("<configuration>\n<property>", "").expect_err("not closed");
    assert!(text.starts_with("DIR/core-site.xml:1: "), "{text}");
    let text = try_properties("<configuration>\n<include/></configuration>", "").expect_err("not a property");
    assert!(text.starts_with("DIR/core-site.xml:2: <property> expected, found <include>"), "{text}");
    let text = try_properties("", "").expect_err("no files");
    assert!(text.starts_with("neither core-site.xml nor hdfs-site.xml is in DIR"), "{text}");
}

/// Scenario: URLs that name nothing.
/// Guarantees: each is refused with what is wrong; none panics.
#[test]
fn urls_that_name_nothing_are_refused() {
    let none = Properties::default();
    for url in
        ["", "nn:8020", "ftp://nn/a", "hdfs:///a", "hdfs://nn:x/a", "hdfs://nn:0/", "file://host/a", "hdfs://u@nn/a"]
    {
        assert!(Cluster::find(url, &none).is_err(), "{url}");
    }
    assert!(Cluster::find("hdfs://nn/a/../b", &none).is_err());
    assert!(refused("/a", &none).starts_with("property fs.defaultFS is not set, so a path alone"));
}
