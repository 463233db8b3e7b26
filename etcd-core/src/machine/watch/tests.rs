//! The rules one by one, against a server that is [`played`] by hand; [`model`] plays it at random.

mod chance;
mod creation;
mod ends;
mod events;
mod leaving;
mod model;
mod played;
mod progress;
mod server;
mod store;
mod streams;
