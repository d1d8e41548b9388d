//! The mechanisms, and how each side opens them.

use clap::ValueEnum;

use crate::channel::{Channel, Result, Wait};
use crate::framed::Framed;
use crate::stream;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mechanism {
    /// Whole messages in two System V segments
    Framed,
    /// Two named pipes
    Pipe,
    /// A Unix socket
    Unix,
    /// TCP over the loopback device
    Tcp,
}

pub(crate) fn serve(
    mechanism: Mechanism,
    place: &str,
    size: usize,
    wait: Wait,
) -> Result<Box<dyn Channel>> {
    Ok(match mechanism {
        Mechanism::Framed => Box::new(Framed::serve(place.parse()?, size, wait)?),
        Mechanism::Pipe => Box::new(stream::serve_pipes(place, size, wait)?),
        Mechanism::Unix => Box::new(stream::serve_unix(place, size, wait)?),
        Mechanism::Tcp => Box::new(stream::serve_tcp(place, size, wait)?),
    })
}

pub(crate) fn connect(
    mechanism: Mechanism,
    place: &str,
    size: usize,
    wait: Wait,
) -> Result<Box<dyn Channel>> {
    Ok(match mechanism {
        Mechanism::Framed => Box::new(Framed::connect(place.parse()?, size, wait)?),
        Mechanism::Pipe => Box::new(stream::connect_pipes(place, size, wait)?),
        Mechanism::Unix => Box::new(stream::connect_unix(place, size, wait)?),
        Mechanism::Tcp => Box::new(stream::connect_tcp(place, size, wait)?),
    })
}

/// The name of a value, as on the command line.
pub(crate) fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
