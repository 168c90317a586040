//! The clients, the same for all servers: their time is not counted.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use sockeye_core::handshake::{ClientHandshake, ClientRequest, HttpLimits, Url};
use sockeye_core::{Config, Connection, Deflate, Event, Input, Message, Seed, Time, Transmit};

pub struct Client {
    stream: TcpStream,
    connection: Connection,
    buffer: Vec<u8>,
    /// Bytes that were received.
    pub received: usize,
}

impl Client {
    pub fn open(port: u16, takeover: bool) -> io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut deflate = Deflate::default();
        deflate.min_size = 1;
        for window in [&mut deflate.send, &mut deflate.receive] {
            window.bits = 15;
            window.takeover = takeover;
        }
        let mut config = Config::default();
        config.deflate = Some(deflate);
        let config = config.share().map_err(io::Error::other)?;
        let url = Url::parse("ws://localhost/").map_err(io::Error::other)?;
        let request = ClientRequest::new(&url).offer(&config);
        let never = Time::from_micros(u64::MAX);
        let mut handshake = ClientHandshake::new(&request, [7; 16], HttpLimits::default(), never);
        while let Some(bytes) = handshake.poll_transmit() {
            let n = stream.write(bytes)?;
            handshake.handle_transmitted(n);
        }
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = stream.read(&mut buffer)?;
            let opened = handshake.handle_input(&buffer[..n]);
            if let Some(opened) = opened.map_err(io::Error::other)? {
                let extensions = opened.extensions;
                assert!(extensions.deflate().is_some(), "it does not compress");
                let connection = Connection::client(&config, &Seed::new([7; 32]), Time::ZERO)
                    .with_extensions(extensions);
                return Ok(Self {
                    stream,
                    connection,
                    buffer,
                    received: 0,
                });
            }
        }
    }

    pub fn send(&mut self, message: &str) {
        self.connection.sender().send(message).expect("open");
    }

    pub fn flush(&mut self) -> io::Result<()> {
        while let Some(Transmit::Write(output)) = self.connection.poll_transmit() {
            let n = self.stream.write(output.first())?;
            self.connection.handle_written(n, Time::ZERO);
        }
        Ok(())
    }

    /// Waits for as many texts, which must be these.
    pub fn receive<'m>(&mut self, expected: impl IntoIterator<Item = &'m str>) -> io::Result<()> {
        let mut expected = expected.into_iter().peekable();
        while expected.peek().is_some() {
            let n = self.stream.read(&mut self.buffer)?;
            assert!(n > 0, "the server has closed");
            self.received += n;
            let mut input = Input::new(&mut self.buffer[..n]);
            while let Some((event, _)) = self.connection.poll_event(&mut input, Time::ZERO) {
                match event {
                    Event::Message(Message::Text(text)) => {
                        assert!(expected.next() == Some(&*text), "another message");
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        Ok(())
    }
}
