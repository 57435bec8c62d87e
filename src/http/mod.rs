//! The HTTP port (`--admin-listen`): `/health`, `/ready` and `/metrics` over HTTP/1.1, in shard 0's
//! runtime.
//!
//! `metrics` writes what Prometheus reads, a part at a time, since it may be long: `body` sends the
//! parts, and `remains` frees what they were made of. `patience` bounds clients in number and time,
//! `stream` gives hyper the runtime's sockets.

mod body;
mod cluster;
pub mod metrics;
mod patience;
mod remains;
mod stream;
mod text;

use crate::shard::View;
use body::Pieces;
use futures_lite::FutureExt;
use glommio::net::TcpListener;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use patience::{Client, Clients};
use remains::Remains;
use std::convert::Infallible;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::rc::Rc;

/// Lines of the log that were dropped so far.
pub type LinesDropped = Box<dyn Fn() -> u64 + Send>;

/// Starts the HTTP port on `socket`, on shard 0's reactor.
pub fn start(socket: std::net::TcpListener, view: View, lines_dropped: LinesDropped) {
    // SAFETY: the descriptor was just given up by its owner.
    let listener = unsafe { TcpListener::from_raw_fd(socket.into_raw_fd()) };
    glommio::spawn_local(serve(listener, Rc::new((view, lines_dropped)))).detach();
}

/// Serves until the task is dropped.
async fn serve(listener: TcpListener, shown: Rc<(View, LinesDropped)>) {
    let clients = Rc::new(Clients::default());
    let remains = Rc::new(Remains::default());
    let freed = remains.clone();
    glommio::spawn_local(async move { freed.free().await }).detach();
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!("HTTP port: {error}");
                glommio::timer::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let client = clients.enter();
        let (shown, remains) = (shown.clone(), remains.clone());
        glommio::spawn_local(async move {
            let service = service_fn(|request| {
                let (shown, client, remains) = (shown.clone(), client.clone(), remains.clone());
                async move {
                    client.asks();
                    Ok::<_, Infallible>(answer(&request, &shown, client, remains).await)
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .max_buf_size(64 << 10)
                .serve_connection(stream::Io(stream), service);
            let served = async {
                if let Err(error) = connection.await {
                    tracing::debug!("HTTP connection: {error}");
                }
            };
            served.or(client.patience()).await;
        })
        .detach();
    }
}

async fn answer<B>(
    request: &Request<B>,
    (view, lines_dropped): &(View, LinesDropped),
    client: Rc<Client>,
    remains: Rc<Remains>,
) -> Response<Pieces> {
    let (status, kind, body) = match route(request.method(), request.uri().path(), view.ready()) {
        Route::Metrics => {
            let page = metrics::collect(view, lines_dropped()).await;
            (StatusCode::OK, metrics::CONTENT_TYPE, Pieces::of(page, client, remains))
        }
        Route::Plain(status, text) => (status, TEXT, Pieces::one(text, client)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(kind);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}

const TEXT: &str = "text/plain; charset=utf-8";

/// A response of the HTTP port.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    Plain(StatusCode, &'static str),
    Metrics,
}

/// `ready` says whether requests are served: not while the broker starts or drains.
fn route(method: &Method, path: &str, ready: bool) -> Route {
    let known = ["/health", "/ready", "/metrics"].contains(&path);
    if known && !matches!(*method, Method::GET | Method::HEAD) {
        return Route::Plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    match path {
        "/health" => Route::Plain(StatusCode::OK, "ok\n"),
        "/ready" if ready => Route::Plain(StatusCode::OK, "ready\n"),
        "/ready" => Route::Plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        "/metrics" => Route::Metrics,
        _ => Route::Plain(StatusCode::NOT_FOUND, "there are /health, /ready and /metrics\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let status = |method, path, ready| match route(&method, path, ready) {
            Route::Plain(status, _) => status.as_u16(),
            Route::Metrics => 0,
        };
        assert_eq!(status(Method::GET, "/health", false), 200);
        assert_eq!(status(Method::GET, "/ready", false), 503);
        assert_eq!(status(Method::HEAD, "/ready", true), 200);
        assert_eq!(status(Method::POST, "/metrics", true), 405);
        assert_eq!(status(Method::GET, "/", true), 404);
        assert_eq!(route(&Method::GET, "/metrics", false), Route::Metrics);
    }
}
