//! What an operator sees of an upstream.

use std::time::Duration;

use crate::meter::AddressState;

/// An upstream at one moment.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Sight {
    /// Its addresses, in the order of its URLs; none if it runs inside this process.
    pub addresses: Vec<AddressSight>,
    /// The most sessions at each address.
    pub max_sessions: Option<usize>,
    /// Handshakes that wait for a place.
    pub waiting: usize,
}

/// One of its addresses.
#[derive(Clone, PartialEq, Debug)]
pub struct AddressSight {
    /// The address, or the host and the port as long as its name has not been resolved.
    pub address: String,
    /// Whether it is used.
    pub state: AddressState,
    /// For how long it has been in that state.
    pub lasts: Duration,
    /// Why not.
    pub reason: Option<&'static str>,
    /// Connections, requests and attempts to connect that lead there.
    pub connections: usize,
    /// The sessions among them, and those on shared connections as long as their number is limited.
    pub sessions: usize,
    /// Its share of new clients: 0 unless it is up, and less than 1 for some time after it came back.
    pub share: f64,
}
