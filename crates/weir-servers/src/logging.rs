//! What makes Java machines log to their standard error, which goes to the log of the process.

/// Everything from `level` up, in the words of log4j 2.
pub(crate) fn log4j2(level: &str) -> String {
    format!(
        "rootLogger.level = {level}\n\
         rootLogger.appenderRef.c.ref = C\n\
         appender.c.type = Console\n\
         appender.c.name = C\n\
         appender.c.target = SYSTEM_ERR\n\
         appender.c.layout.type = PatternLayout\n\
         appender.c.layout.pattern = %d %p %c{{1}}: %m%n\n"
    )
}
