//! A rust_socketio client that does what standard input says and tells what it sees, in lines of JSON: ../README.md.

use std::error::Error;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::FutureExt as _;
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Event, Payload, TransportType};
use serde_json::{Value, json};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut client = None;
    for line in io::stdin().lines() {
        let command: Value = serde_json::from_str(&line?)?;
        match (command["do"].as_str(), &client) {
            (Some("connect"), _) => client = Some(connect(&command).await?),
            (Some("emit"), Some(client)) => client.emit(name(&command), payload(&command)?).await?,
            (Some("ask"), Some(client)) => ask(client, &command).await?,
            (Some("disconnect"), Some(client)) => client.disconnect().await?,
            (command, _) => return Err(format!("cannot {command:?}").into()),
        }
    }
    Ok(())
}

/// It has one namespace on each connection.
async fn connect(command: &Value) -> Result<Client, Box<dyn Error>> {
    let teller = Teller::new(command);
    let transport = match command["transports"].as_array().map(Vec::as_slice) {
        Some([only]) if only == "polling" => TransportType::Polling,
        Some([only]) if only == "websocket" => TransportType::Websocket,
        _ => TransportType::WebsocketUpgrade,
    };
    let url = command["url"].as_str().ok_or("no url")?;
    let mut builder = ClientBuilder::new(url)
        .namespace(teller.namespace.clone())
        .transport_type(transport)
        .reconnect(false);
    if !command["auth"].is_null() {
        builder = builder.auth(command["auth"].clone());
    }
    for (event, label) in
        [(Event::Connect, "connect"), (Event::Close, "disconnect"), (Event::Error, "refused")]
    {
        let teller = teller.clone();
        builder = builder.on(event, move |payload, _| {
            teller.tell_turn(label, values(payload));
            async {}.boxed()
        });
    }
    builder = builder.on_any(move |event, payload, _| {
        let mut all = vec![String::from(event).into()];
        all.extend(values(payload));
        teller.tell("event", all);
        async {}.boxed()
    });
    Ok(builder.connect().await?)
}

async fn ask(client: &Client, command: &Value) -> Result<(), Box<dyn Error>> {
    let teller = Teller::new(command);
    let answered = move |payload, _| {
        teller.tell("answer", values(payload));
        async {}.boxed()
    };
    Ok(client.emit_with_ack(name(command), payload(command)?, ANSWER_TIMEOUT, answered).await?)
}

fn name(command: &Value) -> &str {
    command["name"].as_str().unwrap_or_default()
}

/// Either values or, alone, bytes: this client knows no mixture.
fn payload(command: &Value) -> Result<Payload, Box<dyn Error>> {
    let args = command["args"].as_array().cloned().unwrap_or_default();
    match args.first().and_then(|first| first["$bytes"].as_str()) {
        Some(text) => Ok(BASE64_STANDARD.decode(text)?.into()),
        None => Ok(args.into()),
    }
}

fn values(payload: Payload) -> Vec<Value> {
    match payload {
        Payload::Text(values) => values,
        Payload::Binary(bytes) => vec![json!({ "$bytes": BASE64_STANDARD.encode(bytes) })],
        #[expect(deprecated, reason = "it is one of the variants")]
        Payload::String(text) => vec![text.into()],
    }
}

/// Writes lines of one case and namespace.
#[derive(Clone)]
struct Teller {
    id: Value,
    namespace: String,
}

impl Teller {
    fn new(command: &Value) -> Self {
        let namespace = command["namespace"].as_str().or(command["namespaces"][0].as_str());
        Self { id: command["id"].clone(), namespace: namespace.unwrap_or("/").to_owned() }
    }

    /// An error is either a refusal, which its words say, or the connection's own.
    fn tell_turn(&self, label: &str, values: Vec<Value>) {
        let is_refusal = |text: &str| text.starts_with("Received an ConnectError");
        match label {
            "refused" if values.first().and_then(Value::as_str).is_some_and(is_refusal) => {
                self.tell(label, values)
            }
            "refused" => Self { namespace: "engine".to_owned(), ..self.clone() }.tell("error", values),
            label => self.tell(label, Vec::new()),
        }
    }

    fn tell(&self, label: &str, values: Vec<Value>) {
        let mut line = vec![self.id.clone(), self.namespace.clone().into(), label.into()];
        line.extend(values);
        println!("{}", Value::from(line));
    }
}
