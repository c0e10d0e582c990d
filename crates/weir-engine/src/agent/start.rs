//! Starting: channels, groups, sinks, then sources; each lane on a thread of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use tracing::{error, info};

use super::plan::{Plan, Planned};
use super::running::{Agent, RunningSource};
use super::watch::Watch;
use crate::chain;
use crate::channel::{Channel, Position, ReadLimit};
use crate::group::Group;
use crate::lane_account::LaneAccount;
use crate::ledger::{SinkLedger, SourceLedger};
use crate::outlet::Outlet;
use crate::registry::ChannelContext;
use crate::seat::Seat;
use crate::selector::{Route, Selector};
use crate::sink::{Sink, SinkContext, SinkSpec};
use crate::sink_lane::SinkLane;
use crate::source::{Source, SourceContext, SourceSpec, StartError};
use crate::stop::StopSignal;

pub(super) type Channels = BTreeMap<String, Arc<dyn Channel>>;

impl Agent {
    /// Starts every component of `plan`. On error everything that had started is stopped again.
    ///
    /// # Errors
    /// [`StartError`] of the first component that did not start.
    pub fn start(plan: Plan) -> Result<Self, StartError> {
        let mut agent = Self::new(&plan);
        match agent.start_all(&plan) {
            Ok(()) => {
                agent.begin_watching();
                Ok(agent)
            }
            Err(error) => {
                agent.stop();
                let _report = agent.join();
                Err(error)
            }
        }
    }

    fn start_all(&mut self, plan: &Plan) -> Result<(), StartError> {
        let data_dir = plan.agent.path_opt("data_dir").map(Path::to_path_buf);
        for channel in &plan.channels {
            let context = ChannelContext { name: channel.name.clone(), data_dir: data_dir.clone() };
            let opened = channel.spec.open(&context)?;
            self.watch.channels.push((channel.type_name.clone(), opened.clone()));
            self.channels.insert(channel.name.clone(), opened);
        }
        self.start_sinks(plan)?;
        // Every socket is open before the first event is read: a half-started agent must not take what it cannot pass on.
        let mut lanes = Vec::new();
        for source in &plan.sources {
            lanes.push(source.spec.start(&SourceContext { name: source.name.clone() })?);
        }
        for (source, lanes) in plan.sources.iter().zip(lanes) {
            self.start_source(plan, source, lanes)?;
        }
        Ok(())
    }

    fn start_sinks(&mut self, plan: &Plan) -> Result<(), StartError> {
        let mut groups: BTreeMap<(String, String), Vec<&Planned<dyn SinkSpec>>> = BTreeMap::new();
        for sink in &plan.sinks {
            let group = sink.options.text_opt("group").unwrap_or("default");
            groups.entry((sink.options.text("channel").into(), group.into())).or_default().push(sink);
        }
        for ((channel, name), sinks) in groups {
            let channel = self.opened(&channel)?;
            let dead_letter = sinks.iter().find_map(|sink| sink.options.text_opt("dead_letter"));
            let dead_letter = dead_letter.map(|name| self.opened(name)).transpose()?;
            let names: Vec<_> = sinks.iter().map(|sink| sink.name.clone()).collect();
            let ledger = Arc::new(SinkLedger::default());
            let takes_dead_letters = self.dead_letter_channels.contains(channel.name());
            let group = Group::open(&name, &names, channel, dead_letter, ledger)
                .map_err(|error| StartError::new(format!("sink group {name} did not open"), error))?;
            self.watch.groups.push((names, group.clone()));
            // All sinks of a group start on the same positions, before any of them moves one.
            let positions = group.positions();
            let mut started = Vec::new();
            for sink in sinks {
                started.push((sink, sink.spec.start(&sink_context(sink, plan, &group, &positions))?));
            }
            for (sink, lanes) in started {
                info!(sink = %sink.name, r#type = %sink.type_name, lanes = lanes.len(), "sink started");
                self.run_sink(sink, &group, lanes, takes_dead_letters)?;
            }
        }
        Ok(())
    }

    fn run_sink(
        &mut self,
        sink: &Planned<dyn SinkSpec>,
        group: &Arc<Group>,
        lanes: Vec<Box<dyn Sink>>,
        takes_dead_letters: bool,
    ) -> Result<(), StartError> {
        let (drain, threads) = match takes_dead_letters {
            true => (&self.drain_dead_letters, &mut self.dead_letter_threads),
            false => (&self.drain, &mut self.sink_threads),
        };
        // One of one takes every partition.
        let seats = if sink.spec.keeps_partitions() { lanes.len() as u32 } else { 1 };
        for (index, running) in lanes.into_iter().enumerate() {
            let lane = SinkLane {
                name: sink.name.clone(),
                sink: running,
                group: group.clone(),
                limit: ReadLimit { bytes_max: sink.options.bytes("batch_bytes") as usize, form: sink.spec.form() },
                drain: drain.clone(),
                account: Arc::new(LaneAccount::new(Seat { index: index as u32, lanes: seats })),
            };
            threads.push(spawn(&format!("{}-{index}", sink.name), async move || lane.run().await)?);
        }
        Ok(())
    }

    fn start_source(
        &mut self,
        plan: &Plan,
        source: &Planned<dyn SourceSpec>,
        lanes: Vec<Box<dyn Source>>,
    ) -> Result<(), StartError> {
        let ledger = Arc::new(SourceLedger::default());
        let selector = self.selector(source)?;
        info!(source = %source.name, r#type = %source.type_name, lanes = lanes.len(), "source started");
        let running =
            RunningSource { name: source.name.clone(), type_name: source.type_name.clone(), ledger: ledger.clone() };
        self.watch.sources.push(running);
        for (index, lane) in lanes.into_iter().enumerate() {
            let names = source.options.list_text("interceptors");
            let interceptors = names.iter().filter_map(|name| plan.interceptors.get(*name)).map(|spec| spec.build());
            let outlet = Outlet::new(interceptors.collect(), selector.clone(), ledger.clone(), self.stop.clone());
            let (name, stop, troubles) = (source.name.clone(), self.stop.clone(), self.watch.troubles.clone());
            self.source_threads.push(spawn(&format!("{name}-{index}"), async move || {
                if let Err(fault) = lane.run(outlet, stop).await {
                    let fault = StartError { message: fault.message, source: fault.source };
                    error!(source = %name, error = %chain(&fault), "source lane ended by a fault");
                    troubles.lock().push(format!("source {name}: a lane ended: {}", chain(&fault)));
                }
            })?);
        }
        Ok(())
    }

    fn opened(&self, name: &str) -> Result<Arc<dyn Channel>, StartError> {
        // The configuration was checked; this is for plans made in code.
        self.channels.get(name).cloned().ok_or_else(|| StartError::plain(format!("there is no channel {name}")))
    }

    fn selector(&self, source: &Planned<dyn SourceSpec>) -> Result<Selector, StartError> {
        let names = source.options.list_text("channels");
        let channels = names.iter().map(|name| self.opened(name)).collect::<Result<Vec<_>, _>>()?;
        let index = |wanted: &[&str]| -> Vec<usize> {
            wanted.iter().filter_map(|name| names.iter().position(|known| known == name)).collect()
        };
        let selector = source.options.table("selector");
        let optional = index(&selector.list_text("optional"));
        if selector.choice("type") == "replicating" {
            return Ok(Selector::replicating(channels, optional));
        }
        let route = |wanted: &[&str]| {
            let (maybe, must) = index(wanted).into_iter().partition(|channel| optional.contains(channel));
            Route { required: must, optional: maybe }
        };
        let routes = selector.list_map("mapping").into_iter();
        let routes = routes.map(|(value, wanted)| (value.as_bytes().to_vec(), route(&wanted))).collect();
        let header = selector.text_opt("header").unwrap_or("flume.selector.header");
        Ok(Selector::multiplexing(channels, header, routes, route(&selector.list_text("default"))))
    }

    fn new(plan: &Plan) -> Self {
        let planned_bytes = plan.memory().iter().map(|line| line.bytes).sum();
        let stop = StopSignal::new();
        Self {
            stop: stop.clone(),
            drain: StopSignal::new(),
            deadline: plan.agent.duration("shutdown_deadline"),
            channels: Channels::new(),
            source_threads: Vec::new(),
            sink_threads: Vec::new(),
            drain_dead_letters: StopSignal::new(),
            dead_letter_threads: Vec::new(),
            dead_letter_channels: plan
                .sinks
                .iter()
                .filter_map(|sink| sink.options.text_opt("dead_letter").map(str::to_owned))
                .collect(),
            watch: Watch {
                name: plan.agent.text("name").into(),
                budget_bytes: plan.agent.bytes("memory"),
                planned_bytes,
                started: Instant::now(),
                stop,
                sources: Vec::new(),
                channels: Vec::new(),
                groups: Vec::new(),
                troubles: Arc::new(Mutex::new(Vec::new())),
                rates: Mutex::default(),
            },
            watched: None,
            watcher: None,
        }
    }
}

fn sink_context(sink: &Planned<dyn SinkSpec>, plan: &Plan, group: &Arc<Group>, positions: &[Position]) -> SinkContext {
    SinkContext {
        name: sink.name.clone(),
        agent: plan.agent.text("name").to_owned(),
        data_dir: plan.agent.path_opt("data_dir").map(Into::into),
        channel_is_durable: group.channel().is_durable(),
        channel_is_shared: group.channel().is_shared(),
        positions: positions.to_vec(),
        faults: group.ledger().faults.clone(),
    }
}

/// A lane: a thread with a single-threaded runtime, so that a lane may block without holding up another.
fn spawn<F: AsyncFnOnce() + Send + 'static>(name: &str, lane: F) -> Result<JoinHandle<()>, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::new(format!("no runtime for lane {name}"), error))?;
    std::thread::Builder::new()
        .name(name.chars().take(15).collect())
        .spawn(move || tokio::task::LocalSet::new().block_on(&runtime, lane()))
        .map_err(|error| StartError::new(format!("no thread for lane {name}"), error))
}
