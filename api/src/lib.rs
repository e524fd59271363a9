//! The front end of the chat engine: REST for tenants' backends, WebSockets for their users, pages for people.
//!
//! Read it in this order: [`config`] is every setting, [`serve`] accepts connections, [`router`] (here) says what
//! is where, [`rest`] has a resource a file, [`ws`] hands a socket to the engine, [`web`], [`playground`] and
//! [`openapi`] are for people, [`ops`] for operators. [`auth`], [`body`], [`rate`] and [`error`] are what every request passes.
//!
//! It knows HTTP and the engine's door, and nothing of stores, actors or frames; only `main.rs` chooses adapters.

pub mod auth;
pub mod body;
pub mod config;
pub mod error;
pub mod logs;
mod observe;
pub mod openapi;
mod ops;
mod playground;
pub mod rate;
pub mod rest;
pub mod serve;
mod traffic;
mod unread;
mod web;
mod ws;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use engine::clock::Clock;
use engine::domain::rate::Rate;
use engine::engine::Engine;
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::ApiError;
use crate::observe::HttpMetrics;
use crate::rate::Rates;
use crate::rest::export::Exports;

/// What every request may use.
#[derive(Clone)]
pub struct App {
    /// The engine.
    pub engine: Arc<Engine>,
    admin_key: Option<Arc<str>>,
    playground: bool,
    rates: Arc<Rates>,
    exports: Arc<Exports>,
    clock: Clock,
    metrics: HttpMetrics,
}

/// What a front end needs beside an engine.
#[derive(Debug, Clone, Default)]
pub struct AppOptions {
    /// Needed to make services, if set.
    pub admin_key: Option<String>,
    /// Requests a second of one service; 0 for no bound.
    pub rest_rate_per_s: u32,
    /// Whether anyone may make demo tenants.
    pub playground: bool,
}

impl App {
    /// A front end of an engine.
    pub fn new(engine: Arc<Engine>, options: AppOptions) -> Self {
        let per_s = options.rest_rate_per_s;
        Self {
            admin_key: options.admin_key.map(Into::into),
            playground: options.playground,
            rates: Arc::new(Rates::new(Rate { per_s, burst: per_s.max(1) })),
            exports: Arc::default(),
            clock: Clock::start(),
            metrics: HttpMetrics::new(engine.metrics().registry()),
            engine,
        }
    }

    /// The present, Unix milliseconds.
    fn unix_ms(&self) -> u64 {
        self.clock.now().unix_ms
    }
}

/// Everything that is served, and where.
pub fn router(app: App) -> Router {
    let (rest, document) = openapi::collect();
    let playground = if app.playground { playground::routes() } else { Router::new() };
    Router::new()
        .merge(rest)
        .merge(ws::routes())
        .merge(ops::routes())
        .merge(web::routes(&document, app.playground))
        .merge(playground)
        .fallback(async || ApiError::route_not_found())
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .layer(CatchPanicLayer::custom(error::panicked))
        .with_state(app)
}
