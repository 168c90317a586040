//! `Stream` and `Sink`, where connections are asynchronous.

use std::thread;

use futures_util::{SinkExt, StreamExt};
use sockeye_core::{Config, OwnedMessage};
use sockeye_tests::adapter::asynchronous::Runtime;

use super::Adapter;
use super::suite::sockets::pair;

#[test]
fn a_stream_is_forwarded_to_a_sink() {
    let (server, client) = pair(Config::default());
    let server = thread::spawn(move || {
        let (sink, stream) = server.into_inner().split();
        Adapter::block_on(stream.map(Ok).forward(sink))
    });
    let mut client = client.into_inner();
    Adapter::block_on(async {
        for n in 0..100 {
            SinkExt::send(&mut client, format!("{n}"))
                .await
                .expect("open");
            assert_eq!(client.next().await, Some(format!("{n}").into()));
        }
        SinkExt::<OwnedMessage>::close(&mut client)
            .await
            .expect("open");
    });
    assert!(client.closed().expect("ended").is_clean());
    assert_eq!(server.join().expect("no panic"), Ok(()));
}

#[test]
fn what_is_fed_to_a_sink_leaves_with_its_flush() {
    let (server, client) = pair(Config::default());
    let (mut server, mut client) = (server.into_inner(), client.into_inner());
    Adapter::block_on(async {
        for n in 0..10 {
            client.feed(format!("{n}")).await.expect("open");
        }
        SinkExt::<OwnedMessage>::flush(&mut client)
            .await
            .expect("open");
        for n in 0..10 {
            assert_eq!(server.next().await, Some(format!("{n}").into()));
        }
    });
}
