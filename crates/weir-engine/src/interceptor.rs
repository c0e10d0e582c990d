//! Interceptors: change or drop events between a source and its channels.

use weir_event::EventBatch;

/// Changes a batch in place: sets, edits or removes headers, drops events. Never adds events, waits, or does I/O.
///
/// Called by the lane of the source, on its thread, once per batch; each lane has its own instance.
pub trait Interceptor: Send {
    /// The name in the configuration; events it drops are counted as rejected for `interceptor NAME`.
    fn name(&self) -> &str;

    /// Changes `batch`. Events it leaves out are dropped and counted by the engine.
    fn intercept(&mut self, batch: EventBatch) -> EventBatch;
}

/// A checked interceptor configuration: makes one instance per lane.
pub trait InterceptorSpec: Send + Sync {
    /// A new instance.
    fn build(&self) -> Box<dyn Interceptor>;
}
