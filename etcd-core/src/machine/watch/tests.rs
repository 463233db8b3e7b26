//! The rules one by one, against a server that is played by hand ([`played`]); [`model`] plays it at random.

mod leaving;
mod model;
mod played;
mod positions;
mod refusals;
mod streams;
