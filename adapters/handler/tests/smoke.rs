//! x
use sockeye_handler::testing::TestServer;
use sockeye_handler::*;
#[test]
fn smoke() {
    let server = TestServer::new(linear(|mut ws| async move {
        while let Some(m) = ws.recv().await {
            ws.send(m).await?;
        }
        Ok::<_, SendError>(())
    }));
    let mut c = server.connect("/x").unwrap();
    c.send("hello").unwrap();
    assert_eq!(c.recv_text().as_deref(), Some("hello"));
    c.send_all(["a", "b", "c"]).unwrap();
    for x in ["a", "b", "c"] {
        assert_eq!(c.recv_text().as_deref(), Some(x));
    }
    c.close(CloseCode::NORMAL, "bye");
    assert!(c.closed().unwrap().is_clean());
    assert_eq!(server.sessions(), 0);
}
