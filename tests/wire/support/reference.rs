//! The application inside the reference server, reached over its control connection.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::SOON;
use super::event::Event;
use super::peer::{Opening, Peer, Side};

/// The control connection.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) peers: Receiver<Peer>,
    counts: Receiver<u64>,
    control: Arc<Mutex<TcpStream>>,
}

impl Reference {
    /// Connects to the control port.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        let control = Arc::new(Mutex::new(stream.try_clone().unwrap()));
        let (peers_tx, peers) = channel();
        let (counts_tx, counts) = channel();
        let orders = control.clone();
        thread::spawn(move || listen(stream, &orders, &peers_tx, &counts_tx));
        Self { peers, counts, control }
    }

    /// Returns how many sessions it holds.
    pub(crate) fn sessions(&self) -> u64 {
        writeln!(self.control.lock().unwrap(), "{}", json!({"do": "count"})).unwrap();
        self.counts.recv_timeout(SOON).expect("the reference server answers")
    }
}

fn listen(stream: TcpStream, control: &Arc<Mutex<TcpStream>>, peers: &Sender<Peer>, counts: &Sender<u64>) {
    let mut sessions: HashMap<u64, Sender<Event>> = HashMap::new();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let said: Value = serde_json::from_str(&line).unwrap();
        let id = said["id"].as_u64().unwrap_or_default();
        let event = match said["event"].as_str().unwrap() {
            "open" => {
                let (events_tx, events) = channel();
                sessions.insert(id, events_tx);
                let side = Side::Reference { id, control: control.clone() };
                let _ = peers.send(Peer { opening: opening(&said), events, side });
                continue;
            }
            "count" => {
                let _ = counts.send(said["count"].as_u64().unwrap());
                continue;
            }
            "text" => Event::Text(said["text"].as_str().unwrap().to_owned()),
            "binary" => Event::Binary(STANDARD.decode(said["base64"].as_str().unwrap()).unwrap()),
            "echoing" => Event::Echoing,
            "close" => Event::Closed(1005),
            other => panic!("the reference server said {other}"),
        };
        if let Some(events) = sessions.get(&id) {
            let _ = events.send(event);
        }
    }
}

fn opening(said: &Value) -> Opening {
    let headers = said["headers"].as_object().unwrap().iter();
    Opening {
        method: "GET".to_owned(),
        target: said["target"].as_str().unwrap().to_owned(),
        headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
    }
}
