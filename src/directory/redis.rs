//! Redis or Valkey as the engine: commands of version 6.2, in three scripts.
//!
//! An entry is a key with the name of its node and a time to live. `born` names the contents: it is gone if they are.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, FromRedisValue, TlsCertificates, cmd};
use tokio::task::spawn_blocking;

use super::engine::{Answer, Answering, Connection, Contents, Down, Engine, Member, Verdict};
use super::id::Id;
use super::settings::{EngineError, Settings};
use crate::chain::Chain;
use crate::sid::Node;
use crate::tls::{Identity, TlsError};

/// A server of Redis.
pub(super) struct Redis {
    settings: Settings,
    address: String,
    names: Arc<Names>,
}

/// What this node writes.
struct Names {
    /// What every key begins with.
    prefix: String,
    me: Node,
    address: String,
    ttl: Duration,
}

impl Redis {
    /// Prepares to connect.
    pub(super) fn new(settings: &Settings, me: Node, address: &str) -> Result<Self, EngineError> {
        let at = client(settings)?.get_connection_info().addr().to_string();
        let prefix = format!("polliwog:{}:", settings.name);
        let names = Names { prefix, me, address: address.to_owned(), ttl: settings.ttl };
        Ok(Self { settings: settings.clone(), address: at, names: Arc::new(names) })
    }

    async fn open(&self) -> Result<RedisConnection, Down> {
        let settings = self.settings.clone();
        // The files may be others by now, and slow to read.
        let client = spawn_blocking(move || client(&settings)).await;
        let client = client.map_err(|error| Down(error.to_string()))?;
        let client = client.map_err(|error| Down(Chain(&error).to_string()))?;
        // The caller limits every wait.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        Ok(RedisConnection { connection: connection.map_err(down)?, names: Arc::clone(&self.names) })
    }
}

/// Returns what connects, with what the files of the settings hold now.
fn client(Settings { url, ca, identity, .. }: &Settings) -> Result<Client, EngineError> {
    let read =
        |path: &PathBuf| fs::read(path).map_err(|source| TlsError::Read { path: path.clone(), source });
    let root_cert = ca.as_ref().map(read).transpose()?;
    let shown = |Identity { certificate, key }: &Identity| {
        Ok::<_, TlsError>(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
    };
    let client_tls = identity.as_ref().map(shown).transpose()?;
    let client = if root_cert.is_none() && client_tls.is_none() {
        Client::open(&**url)
    } else {
        Client::build_with_tls(&**url, TlsCertificates { client_tls, root_cert })
    };
    client.map_err(|error| EngineError::Settings(error.to_string()))
}

impl Engine for Redis {
    fn connect(&self) -> Answering<'_, Arc<dyn Connection>> {
        Box::pin(async move { Ok(Arc::new(self.open().await?) as Arc<dyn Connection>) })
    }

    fn look(&self) -> Answering<'_, Vec<Member>> {
        Box::pin(async move {
            let connection = self.open().await?;
            let mut eval = cmd("EVAL");
            eval.arg(LOOK).arg(1).arg(connection.nodes()).arg(LATELY_MS);
            let found: Vec<String> = connection.ask(eval).await?;
            Ok(found.iter().filter_map(|text| member_of(text)).collect())
        })
    }

    fn address(&self) -> &str {
        &self.address
    }
}

struct RedisConnection {
    connection: MultiplexedConnection,
    names: Arc<Names>,
}

impl RedisConnection {
    fn key(&self, id: Id) -> String {
        format!("{}s:{id}", self.names.prefix)
    }

    fn born(&self) -> String {
        format!("{}born", self.names.prefix)
    }

    fn nodes(&self) -> String {
        format!("{}nodes", self.names.prefix)
    }

    fn member(&self) -> String {
        format!("{} {}", self.names.me, self.names.address)
    }

    async fn ask<T: FromRedisValue>(&self, cmd: Cmd) -> Result<T, Down> {
        cmd.query_async(&mut self.connection.clone()).await.map_err(down)
    }
}

impl Connection for RedisConnection {
    fn claim<'c>(&'c self, ids: &'c [Id], instead_of: Option<Node>) -> Answering<'c, Answer<Vec<Verdict>>> {
        Box::pin(async move {
            let mut eval = cmd("EVAL");
            eval.arg(CLAIM).arg(ids.len() + 1).arg(self.born());
            for id in ids {
                eval.arg(self.key(*id));
            }
            let instead_of = instead_of.map(|node| node.to_string()).unwrap_or_default();
            let ttl = u64::try_from(self.names.ttl.as_millis()).unwrap_or(u64::MAX);
            eval.arg(self.names.me.to_string()).arg(instead_of).arg(ttl);
            let mut answer: Vec<String> = self.ask(eval).await?;
            let contents = Contents(if answer.is_empty() { String::new() } else { answer.remove(0) });
            let nodes = answer.iter().map(|node| node_of(node).map(Verdict::Of));
            Ok(Answer { value: nodes.collect::<Result<_, _>>()?, contents })
        })
    }

    fn find(&self, id: Id) -> Answering<'_, Answer<Verdict>> {
        Box::pin(async move {
            let mut get = cmd("MGET");
            get.arg(self.born()).arg(self.key(id));
            let (born, node): (Option<String>, Option<String>) = self.ask(get).await?;
            let node = node.map(|node| node_of(&node)).transpose()?;
            let value = node.map_or(Verdict::Nobody, Verdict::Of);
            Ok(Answer { value, contents: Contents(born.unwrap_or_default()) })
        })
    }

    fn release<'c>(&'c self, ids: &'c [Id]) -> Answering<'c, ()> {
        Box::pin(async move {
            let mut eval = cmd("EVAL");
            eval.arg(RELEASE).arg(ids.len());
            for id in ids {
                eval.arg(self.key(*id));
            }
            eval.arg(self.names.me.to_string());
            self.ask(eval).await
        })
    }

    fn meet(&self) -> Answering<'_, Answer<Vec<Member>>> {
        Box::pin(async move {
            let mark = getrandom::u64().map_err(|error| Down(error.to_string()))?;
            let mut eval = cmd("EVAL");
            eval.arg(MEET).arg(2).arg(self.born()).arg(self.nodes());
            eval.arg(format!("{mark:016x}")).arg(self.member()).arg(LATELY_MS);
            let mut answer: Vec<String> = self.ask(eval).await?;
            let contents = Contents(if answer.is_empty() { String::new() } else { answer.remove(0) });
            Ok(Answer { value: answer.iter().filter_map(|text| member_of(text)).collect(), contents })
        })
    }

    fn leave(&self) -> Answering<'_, ()> {
        Box::pin(async move {
            let mut remove = cmd("ZREM");
            remove.arg(self.nodes()).arg(self.member());
            self.ask(remove).await
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn down(error: redis::RedisError) -> Down {
    Down(error.to_string())
}

fn node_of(text: &str) -> Result<Node, Down> {
    Node::parse(text).ok_or_else(|| Down("an entry names no node".to_owned()))
}

fn member_of(text: &str) -> Option<Member> {
    let (node, address) = text.split_once(' ')?;
    Some(Member { node: Node::parse(node)?, address: address.to_owned() })
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.address).finish()
    }
}

/// How long a node counts as there after it has said so.
const LATELY_MS: u64 = 6000;

const CLAIM: &str = "
local owners = {redis.call('GET', KEYS[1]) or ''}
for i = 2, #KEYS do
  local owner = redis.call('GET', KEYS[i])
  if not owner or owner == ARGV[1] or owner == ARGV[2] then
    redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[3])
    owner = ARGV[1]
  end
  owners[i] = owner
end
return owners";

const RELEASE: &str = "
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] then redis.call('UNLINK', KEYS[i]) end
end
return redis.status_reply('OK')";

const MEET: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], ARGV[1], 'NX')
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])
local found = redis.call('ZRANGE', KEYS[2], 0, -1)
table.insert(found, 1, redis.call('GET', KEYS[1]))
return found";

const LOOK: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZRANGE', KEYS[1], '(' .. now - ARGV[1], '+inf', 'BYSCORE')";
