//! A Redis of a test's own: Debian's `redis-server`, on a free port.

use alloc::sync::Arc;
use std::io::{self, BufRead, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use tempfile::TempDir;

use crate::process::{Signal, signal, wait};
use crate::wire::PATIENCE;

/// A running `redis-server`, killed when it is dropped. It keeps nothing on disk.
pub struct Redis {
    port: u16,
    options: Vec<String>,
    directory: TempDir,
    server: Option<Child>,
}

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// There is no `redis-server` on the path.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts one with more options, such as `["--requirepass", "secret"]`.
    #[must_use]
    pub fn with(options: &[&str]) -> Self {
        let mut redis = Self {
            port: 0,
            options: options.iter().map(|&option| option.to_owned()).collect(),
            directory: tempfile::tempdir().expect("a directory"),
            server: None,
        };
        // Somebody may take the port between its being free and its being ours.
        for _ in 0..20 {
            redis.port = free_port();
            redis.server = redis.launch();
            if redis.server.is_some() {
                return redis;
            }
        }
        panic!("no port for redis-server");
    }

    /// Its URL, with database 0.
    #[must_use]
    pub fn url(&self) -> String {
        self.database(0)
    }

    /// Its URL, with a database of the given number.
    #[must_use]
    pub fn database(&self, number: u32) -> String {
        format!("redis://127.0.0.1:{}/{number}", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection to see what is in it.
    #[must_use]
    pub fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).expect("a URL");
        client.get_connection().expect("a Redis")
    }

    /// Ends it. What it held is gone.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().expect("a process of ours");
            server.wait().expect("a process of ours");
        }
    }

    /// Starts it again after [`stop`](Self::stop), on the same port, empty.
    pub fn restart(&mut self) {
        assert!(self.server.is_none(), "it runs");
        self.server = self.launch();
        assert!(self.server.is_some(), "its port was taken");
    }

    /// Keeps it from running: it is there, and does not answer.
    pub fn pause(&self) {
        signal(self.process(), Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        signal(self.process(), Signal::CONT);
    }

    fn process(&self) -> &Child {
        self.server.as_ref().expect("it runs")
    }

    /// `None` if the port is taken.
    fn launch(&self) -> Option<Child> {
        let mut server = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.directory.path())
            .args(["--port", &self.port.to_string()])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server, of the Debian package redis-server");
        let output = BufReader::new(server.stdout.take().expect("a pipe"));
        if is_ready(output) {
            return Some(server);
        }
        let _ = server.kill();
        wait(&mut server, PATIENCE);
        None
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that nobody listens to at this moment.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// Reads what it says until it accepts connections; goes on reading, so that it never
/// waits for us.
fn is_ready(mut output: impl BufRead + Send + 'static) -> bool {
    let (sender, ready) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        while output.read_line(&mut line).is_ok_and(|length| length > 0) {
            if line.contains("Ready to accept connections") {
                let _ = sender.send(());
            }
            line.clear();
        }
    });
    ready.recv_timeout(PATIENCE).is_ok()
}

/// A way to a Redis that can be blocked, while others reach it.
pub struct Way {
    port: u16,
    state: Arc<Mutex<WayState>>,
}

#[derive(Default)]
struct WayState {
    is_blocked: bool,
    streams: Vec<TcpStream>,
}

impl Way {
    /// To this Redis.
    #[must_use]
    pub fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(Mutex::new(WayState::default()));
        let (shared, target) = (Arc::clone(&state), redis.port);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let mut state = lock(&shared);
                if state.is_blocked {
                    continue;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", target)) else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let ends = [from, to].map(|stream| stream.try_clone().expect("a socket"));
                    thread::spawn(move || {
                        let [mut from, mut to] = ends;
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                state.streams.extend([near, far]);
            }
        });
        Self { port, state }
    }

    /// The URL of the Redis, on this way.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Breaks all connections and lets no new one through.
    pub fn block(&self) {
        let mut state = lock(&self.state);
        state.is_blocked = true;
        for stream in state.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn free(&self) {
        lock(&self.state).is_blocked = false;
    }
}

fn lock(state: &Mutex<WayState>) -> MutexGuard<'_, WayState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
