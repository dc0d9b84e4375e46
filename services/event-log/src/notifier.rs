//! Informs other processes by `NOTIFY`, many items at a time; its callers never wait.

mod pending;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, PgPool};
use tokio::sync::{Notify, broadcast};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use upwrite_events::{Lifecycle, MutationId};

pub use pending::OVERFLOW;
use pending::{MAX_PAYLOAD_BYTES, Packed, PendingItems};

/// Something was appended: items `<stream>/<partition>:<end>`.
pub const LOG_CHANNEL: &str = "upwrite_log";
/// Mutations got a verdict, or their claims were released: items are their ids.
pub const VERDICT_CHANNEL: &str = "upwrite_verdict";

/// Items that a listener in the same process may lag behind.
const HEARD_HERE: usize = 4_096;
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(200);

const NOTIFY: &str = "/* event-log.notify */ \
    select pg_notify(channel, payload) from unnest($1::text[], $2::text[]) as n (channel, payload)";

/// The handle; clones are the same notifier. One task per process sends, because `NOTIFY` in every commit would
/// serialise the commits. What cannot be sent now is sent when Postgres is back.
#[derive(Debug, Clone)]
pub struct Notifier {
    shared: Arc<NotifierState>,
}

/// One item, as it is heard in the notifier's own process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub channel: Arc<str>,
    pub item: Arc<str>,
    /// What the item is about, so that no listener here need read it again.
    pub status: Option<Arc<MutationStatus>>,
}

/// How a mutation stands, as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutationStatus {
    pub mutation: MutationId,
    pub lifecycle: Lifecycle,
    /// The synced table shows it, as far as it was applied.
    pub finished: bool,
    /// It has no claims any more.
    pub released: bool,
}

#[derive(Debug)]
struct NotifierState {
    waiting: Mutex<PendingItems>,
    some: Notify,
    here: broadcast::Sender<Notice>,
}

impl Notifier {
    /// Starts the task, on a connection of its own with the options of `pool`. On `shutdown` it sends what waits,
    /// once, and ends.
    pub fn start(pool: &PgPool, shutdown: CancellationToken) -> Self {
        let here = broadcast::Sender::new(HEARD_HERE);
        let shared = Arc::new(NotifierState { waiting: Mutex::default(), some: Notify::new(), here });
        let options = pool.connect_options().as_ref().clone().application_name("upwrite notifier");
        // Notifications do not survive a crash anyway: their commit need not wait for the disk.
        let options = options.options([("synchronous_commit", "off")]);
        tokio::spawn(run(Arc::clone(&shared), options, shutdown));
        Self { shared }
    }

    /// Hears every item in this process, at once and without Postgres. A listener that lags behind learns it (`Lagged`), and
    /// then looks at everything it waits for.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.shared.here.subscribe()
    }

    /// Queues an item for a channel. Never waits. An item must have no space and be shorter than a payload
    /// (7,900 bytes); one that is already waiting is sent once.
    pub fn notify(&self, channel: &str, item: impl Into<String>) {
        let item = item.into();
        self.notify_latest(channel, &item.clone(), item);
    }

    /// As [`Notifier::notify`], in place of an earlier item about the same thing that still waits.
    pub fn notify_latest(&self, channel: &str, about: &str, item: String) {
        self.send(channel, about, item, None);
    }

    /// A verdict, or the release of claims, that has been committed: by its id to other processes, as a whole in this one.
    pub fn verdict(&self, status: MutationStatus) {
        let id = status.mutation.to_string();
        self.send(VERDICT_CHANNEL, &id.clone(), id, Some(Arc::new(status)));
    }

    fn send(&self, channel: &str, about: &str, item: String, status: Option<Arc<MutationStatus>>) {
        debug_assert!(!item.contains(' ') && item.len() < MAX_PAYLOAD_BYTES, "not an item: {item}");
        // There may be no listener here.
        let _ = self.shared.here.send(Notice { channel: channel.into(), item: item.as_str().into(), status });
        self.shared.lock().add((channel.to_owned(), about.to_owned()), item);
        self.shared.some.notify_one();
    }
}

impl NotifierState {
    fn lock(&self) -> std::sync::MutexGuard<'_, PendingItems> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(shared: Arc<NotifierState>, options: PgConnectOptions, shutdown: CancellationToken) {
    let mut connection = None;
    loop {
        let packed = shared.lock().take();
        if packed.is_empty() {
            if shutdown.is_cancelled() {
                return;
            }
            tokio::select! {
                () = shared.some.notified() => {}
                () = shutdown.cancelled() => {}
            }
            continue;
        }
        if let Err(error) = send(&mut connection, &options, &packed).await {
            tracing::debug!(error, "notifications wait");
            connection = None;
            shared.lock().put_back(packed);
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }
}

async fn send(
    connection: &mut Option<PgConnection>,
    options: &PgConnectOptions,
    packed: &[Packed],
) -> Result<(), String> {
    let sending = async {
        if connection.is_none() {
            *connection = Some(PgConnection::connect_with(options).await?);
        }
        let connection = connection.as_mut().expect("made above if there was none");
        let channels: Vec<&str> = packed.iter().map(|packed| packed.channel.as_str()).collect();
        let payloads: Vec<&str> = packed.iter().map(|packed| packed.payload.as_str()).collect();
        sqlx::query(NOTIFY).bind(channels).bind(payloads).execute(connection).await?;
        Ok::<_, sqlx::Error>(())
    };
    match timeout(PATIENCE, sending).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}
