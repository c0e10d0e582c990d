//! HDFS client: Hadoop's own protocol and WebHDFS behind one trait.

pub mod configuration;
mod error;
pub mod fallback;
mod faults;
mod filesystem;
pub mod local;
pub mod native;
pub mod webhdfs;

pub use error::{HdfsError, HdfsErrorKind};
pub use fallback::{Fallback, FallbackCounters};
pub use faults::Faults;
pub use filesystem::{CreateOptions, FileReader, FileSystem, FileWriter, Space, Status};
pub use local::LocalFileSystem;
pub use native::{NativeHdfs, NativeOptions};
pub use webhdfs::{WebHdfs, WebHdfsOptions};
