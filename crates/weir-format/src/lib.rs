//! Events to files and back: text, JSON lines, Hadoop's SequenceFile, Avro container files, Parquet.
