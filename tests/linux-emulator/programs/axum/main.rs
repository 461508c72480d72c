//! A web server by axum, hyper and tokio.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::{Json, Query};
use axum::response::Redirect;
use axum::routing::{get, post, put};
use axum::{Form, Router};
use serde_json::{Value, json};

async fn page(Query(query): Query<HashMap<String, String>>) -> String {
    tokio::time::sleep(Duration::from_millis(5)).await;
    format!("{:?}\n", query.get("a"))
}

async fn json(Json(value): Json<Value>) -> Json<Value> {
    Json(json!({ "got": value }))
}

async fn form(Form(fields): Form<HashMap<String, String>>) -> Redirect {
    Redirect::to(fields.get("to").map_or("/", String::as_str))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let router =
        Router::new().route("/", get(page)).route("/json", put(json)).route("/form", post(form));
    let port = std::env::var("PORT").unwrap_or_default();
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    axum::serve(listener, router).await
}
