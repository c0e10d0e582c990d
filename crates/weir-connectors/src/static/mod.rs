//! Interceptor `static`: the same header for every event. Flume's `StaticInterceptor`.

use std::sync::Arc;

use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, TypeSpec};
use weir_engine::interceptor::InterceptorSpec;
use weir_engine::registry::InterceptorType;
use weir_event::HeaderName;

use crate::host::SetHeader;

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Interceptor,
    name: "static",
    aliases: &[],
    summary: "Sets a header to a fixed value.",
    options: &[
        OptionSpec::required("key", Kind::Text, "The header to set.").example("datacenter"),
        OptionSpec::required("value", Kind::Text, "Its value.").example("london-1"),
        OptionSpec::defaulted("preserve_existing", Kind::Flag, "true", "Whether events that have the header keep it."),
    ],
};

/// The type `static`, for the registry.
#[must_use]
pub fn static_interceptor_type() -> InterceptorType {
    InterceptorType { spec: &SPEC, parse }
}

fn parse(config: &ComponentConfig, _: &mut Diagnostics) -> Option<Arc<dyn InterceptorSpec>> {
    let options = &config.options;
    Some(Arc::new(SetHeader {
        name: config.name.clone(),
        header: HeaderName::new(options.text("key")),
        value: options.text("value").to_owned().into(),
        preserve_existing: options.flag("preserve_existing"),
    }))
}
