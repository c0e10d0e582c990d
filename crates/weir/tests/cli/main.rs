//! The binary as its users meet it: arguments, messages, exit codes, endpoints.

mod admin;
mod check;
mod components;
mod demo;
mod examples;
mod log;
mod run;
mod send;
mod support;
mod verify;
mod verify_solr;
mod verify_topic;
