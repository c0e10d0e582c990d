import org.apache.hadoop.fs.Path;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.hadoop.ParquetReader;
import org.apache.parquet.hadoop.example.GroupReadSupport;

/** Prints the records of a Parquet file, one line each. */
public class ParquetPrint {
  public static void main(String[] arguments) throws Exception {
    StringBuilder out = new StringBuilder();
    try (ParquetReader<Group> reader =
        ParquetReader.builder(new GroupReadSupport(), new Path(arguments[0])).build()) {
      for (Group group = reader.read(); group != null; group = reader.read()) {
        out.append(group.toString().replace('\n', '|')).append('\n');
      }
    }
    System.out.print(out);
  }
}
