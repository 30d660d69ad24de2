//! Stands in for the channel in a build without TLS: there is none, so nothing here can happen.

use std::io;

use super::trouble::{Cause, TlsTrouble};
use super::{Facts, Shake, Socket, TlsOptions};

/// There is no TLS connection.
pub enum Channel {}

/// Says what is missing, before anything is sent.
pub fn check() -> Result<(), TlsTrouble> {
    Err(missing())
}

impl Channel {
    /// Says what is missing.
    pub async fn prepare(_: &TlsOptions, _: &str) -> Result<Self, TlsTrouble> {
        Err(missing())
    }

    /// Cannot happen.
    pub fn shake(&mut self, _: &mut dyn Socket) -> Result<Shake, TlsTrouble> {
        match *self {}
    }

    /// Cannot happen.
    pub fn facts(&self) -> Facts {
        match *self {}
    }

    /// Cannot happen.
    pub fn read(&mut self, _: &mut dyn Socket, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    /// Cannot happen.
    pub fn write(&mut self, _: &mut dyn Socket, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    /// Cannot happen.
    pub fn has_news(&self) -> bool {
        match *self {}
    }

    /// Cannot happen.
    pub fn finish(&mut self, _: &mut dyn Socket) {
        match *self {}
    }

    /// Cannot happen.
    pub fn explain(&self, _: Option<&io::Error>) -> Option<TlsTrouble> {
        match *self {}
    }
}

fn missing() -> TlsTrouble {
    TlsTrouble::new(Cause::Missing, "this build has no TLS, which mqtts:// needs")
}
