import java.nio.file.Path;
import org.apache.solr.embedded.JettyConfig;
import org.apache.solr.embedded.JettySolrRunner;

/** SolrNode PORT HOME: one node of a SolrCloud, as HOME/solr.xml says; ends in order on SIGTERM. */
public final class SolrNode {
    public static void main(String[] arguments) {
        try {
            String home = Path.of(arguments[1]).toAbsolutePath().toString();
            JettyConfig jetty =
                JettyConfig.builder().setContext("/solr").setPort(Integer.parseInt(arguments[0])).build();
            JettySolrRunner node = new JettySolrRunner(home, jetty);
            Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(node)));
            node.start();
            Thread.currentThread().join();
        } catch (Throwable error) {
            error.printStackTrace();
            // Jetty's threads would keep a node that does not work alive.
            Runtime.getRuntime().halt(1);
        }
    }

    private static void stop(JettySolrRunner node) {
        try {
            node.stop();
        } catch (Exception error) {
            error.printStackTrace();
        }
    }
}
