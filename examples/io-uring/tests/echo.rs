//! The example, with a client on plain threads.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use sockeye_core::CloseCode;
use sockeye_mio::{ConnectOptions, WebSocket, connect};

struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// `None` where io_uring is not to be had.
    fn start() -> Option<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_io-uring-example"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example");
        let stdout = process.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()));
        let Some(url) = url else {
            let _ = process.wait();
            eprintln!("not tested: there is no io_uring here");
            return None;
        };
        Some(Self { process, url })
    }

    fn client(&self) -> WebSocket {
        let mut options = ConnectOptions::default();
        let mut config = sockeye_core::Config::default();
        config.max_message = 16 << 20;
        options.config = config.share().expect("limits");
        connect(&self.url, &options).expect("a server")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn messages_of_every_size_come_back_and_the_close_is_clean() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut ws = server.client();
    for len in [0, 1, 125, 126, 16_383, 16_384, 65_536, 1 << 20, 16 << 20] {
        let message: Vec<u8> = (0..len).map(|n| n as u8).collect();
        ws.send(message.clone()).expect("open");
        assert!(ws.recv().expect("an echo").as_bytes() == message, "{len}");
    }
    ws.close(CloseCode::new(4000), "done").expect("open");
    assert!(ws.closed().expect("ended").is_clean());
}

#[test]
fn connections_come_and_go_and_their_places_are_used_again() {
    let Some(server) = Server::start() else {
        return;
    };
    for _ in 0..20 {
        let mut clients: Vec<_> = (0..50).map(|_| server.client()).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.send(format!("{n}")).expect("open");
        }
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(
                client.recv().expect("an echo").as_text(),
                Some(&*format!("{n}"))
            );
        }
        for (n, mut client) in clients.into_iter().enumerate() {
            // The others leave without a word.
            if n % 2 == 0 {
                client.close(CloseCode::NORMAL, "").expect("open");
            }
        }
    }
}

#[test]
fn who_does_not_read_is_not_read_from_and_loses_nothing() {
    const MESSAGES: usize = 400;
    let Some(server) = Server::start() else {
        return;
    };
    // Much more than the sockets hold, before the first echo is read.
    let (sender, mut receiver) = server.client().split();
    let message = |n: usize| vec![n as u8; 100_000];
    let sending = thread::spawn(move || {
        for n in 0..MESSAGES {
            sender.send(message(n)).expect("open");
        }
        sender
    });
    for n in 0..MESSAGES {
        assert!(
            receiver.recv().expect("an echo").as_bytes() == message(n),
            "{n}"
        );
    }
    let sender = sending.join().expect("no panic");
    sender.close(CloseCode::NORMAL, "").expect("open");
    assert!(receiver.recv().is_none());
    assert!(receiver.closed().expect("ended").is_clean());
}
