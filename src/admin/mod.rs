//! The admin port: `/health`, `/ready` and `/metrics` over HTTP/1.1, on shard 0's reactor.

mod http;
pub mod metrics;

use crate::shard::View;
use glommio::net::TcpListener;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, body::Bytes};
use std::cell::Cell;
use std::convert::Infallible;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::rc::Rc;

/// Connections to the admin port at a time; further ones are closed at once.
const MAX_CONNECTIONS: usize = 64;

/// Starts the admin port on `socket`, on shard 0's reactor.
pub fn start(socket: std::net::TcpListener, view: View) {
    // SAFETY: the descriptor was just given up by its owner.
    let listener = unsafe { TcpListener::from_raw_fd(socket.into_raw_fd()) };
    glommio::spawn_local(serve(listener, Rc::new(view))).detach();
}

impl Shown for View {
    fn ready(&self) -> bool {
        View::ready(self)
    }
    fn metrics(&self) -> String {
        metrics::render(&self.process(), &self.shards())
    }
}

/// What the admin port shows.
trait Shown {
    /// Whether requests are served: false while the broker starts or drains.
    fn ready(&self) -> bool;
    /// The figures, in Prometheus' text format.
    fn metrics(&self) -> String;
}

/// Serves until the task is dropped.
async fn serve(listener: TcpListener, shown: Rc<dyn Shown>) {
    let open = Rc::new(Cell::new(0));
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!("admin port: {error}");
                glommio::timer::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        if open.get() >= MAX_CONNECTIONS {
            continue;
        }
        open.set(open.get() + 1);
        let (open, shown) = (open.clone(), shown.clone());
        glommio::spawn_local(async move {
            let service = service_fn(|request| {
                let answer = answer(&request, &*shown);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(http::Io(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!("admin connection: {error}");
            }
            open.set(open.get() - 1);
        })
        .detach();
    }
}

fn answer<B>(request: &Request<B>, shown: &dyn Shown) -> Response<Full<Bytes>> {
    let (status, kind, body) = route(request.method(), request.uri().path(), shown);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(kind);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}

const TEXT: &str = "text/plain; charset=utf-8";

fn route(method: &Method, path: &str, shown: &dyn Shown) -> (StatusCode, &'static str, String) {
    let known = ["/health", "/ready", "/metrics"].contains(&path);
    if known && !matches!(*method, Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".into());
    }
    match path {
        "/health" => (StatusCode::OK, TEXT, "ok\n".into()),
        "/ready" if shown.ready() => (StatusCode::OK, TEXT, "ready\n".into()),
        "/ready" => (StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n".into()),
        "/metrics" => (StatusCode::OK, metrics::CONTENT_TYPE, shown.metrics()),
        _ => (StatusCode::NOT_FOUND, TEXT, "there are /health, /ready and /metrics\n".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(bool);
    impl Shown for Fixed {
        fn ready(&self) -> bool {
            self.0
        }
        fn metrics(&self) -> String {
            "klamm_up 1\n".into()
        }
    }

    #[test]
    fn routes() {
        let status = |method, path, ready| route(&method, path, &Fixed(ready)).0.as_u16();
        assert_eq!(status(Method::GET, "/health", false), 200);
        assert_eq!(status(Method::GET, "/ready", false), 503);
        assert_eq!(status(Method::HEAD, "/ready", true), 200);
        assert_eq!(status(Method::POST, "/metrics", true), 405);
        assert_eq!(status(Method::GET, "/", true), 404);
        assert_eq!(route(&Method::GET, "/metrics", &Fixed(true)).2, "klamm_up 1\n");
    }
}
