//! A real OpenBao as a child, in memory, ended with the test.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct Server {
    pub address: String,
    child: Child,
    _home: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Self {
        let binary = std::env::var_os("CORLISS_TEST_BAO").map(PathBuf::from);
        let binary = binary.unwrap_or_else(|| panic!("set CORLISS_TEST_BAO to the binary of OpenBao"));
        let home = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(binary)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={}", super::OPERATOR))
            .arg(format!("-dev-listen-address={free}"))
            .env("HOME", home.path())
            .current_dir(home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            address: format!("http://{free}"),
            child,
            _home: home,
        };
        server.ready().await;
        server
    }

    async fn ready(&self) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/v1/sys/health", self.address);
        for _ in 0..300 {
            if http
                .get(&url)
                .send()
                .await
                .is_ok_and(|response| response.status() == 200)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("OpenBao has not started");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
