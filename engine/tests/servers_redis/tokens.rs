//! Tokens in Redis.

use kijimuna_engine::domain::access::ExpiringGrant;
use kijimuna_engine::tokens::redis::RedisTokens;
use kijimuna_engine::tokens::{Token, TokenError, Tokens, contract};

use crate::server::Server;

fn token() -> Token {
    Token::from_random([7; 32])
}

fn grant() -> ExpiringGrant {
    ExpiringGrant::new(contract::grant("alice"), 1_000, 60_000)
}

async fn tokens(server: &Server) -> RedisTokens {
    RedisTokens::connect(&server.uri()).await.unwrap()
}

fn is_away<T>(answer: &Result<T, TokenError>) -> bool {
    matches!(answer, Err(TokenError::Unavailable(_)))
}

#[tokio::test]
async fn keeps_the_contract() {
    let server = Server::start();
    contract::check(&tokens(&server).await).await;
}

#[tokio::test]
async fn what_one_node_issues_another_redeems() {
    let server = Server::start();
    let (here, there) = (tokens(&server).await, tokens(&server).await);
    here.keep(&token(), grant(), 1_000).await.unwrap();
    assert_eq!(there.redeem(&token(), 2_000).await, Ok(Some(contract::grant("alice"))));
    assert_eq!(here.redeem(&token(), 2_000).await, Ok(None));
}

#[tokio::test]
async fn redis_forgets_what_ended_by_itself() {
    let server = Server::start();
    let tokens = tokens(&server).await;
    tokens.keep(&token(), grant(), 1_000).await.unwrap();
    let key = server.command("KEYS *")[2].clone();
    assert!(
        key.starts_with("kijimuna:{") && key.ends_with("}:token") && !key.contains(&token().reveal()),
        "{key}"
    );
    let ttl_ms: u64 = server.command(&format!("PTTL {key}"))[0][1..].parse().unwrap();
    assert!((1..=60_000).contains(&ttl_ms), "{ttl_ms}");
}

#[tokio::test]
async fn a_grant_that_has_ended_already_is_not_kept() {
    let server = Server::start();
    let tokens = tokens(&server).await;
    tokens.keep(&token(), grant(), 61_000).await.unwrap();
    assert_eq!(server.command("DBSIZE"), [":0"]);
}

#[tokio::test]
async fn a_value_that_is_no_grant_opens_nothing() {
    let server = Server::start();
    let tokens = tokens(&server).await;
    tokens.keep(&token(), grant(), 1_000).await.unwrap();
    let key = server.command("KEYS *")[2].clone();
    server.command(&format!("SET {key} nonsense"));
    assert_eq!(tokens.redeem(&token(), 2_000).await, Ok(None));
}

#[tokio::test]
async fn a_restarted_redis_has_forgotten_and_keeps_again() {
    let mut server = Server::start();
    let tokens = tokens(&server).await;
    tokens.keep(&token(), grant(), 1_000).await.unwrap();
    server.end();
    server.begin();
    let other = Token::from_random([8; 32]);
    assert_eq!(tokens.keep(&other, grant(), 1_000).await, Ok(()), "on another connection, at once");
    assert_eq!(tokens.redeem(&token(), 2_000).await, Ok(None));
    assert_eq!(tokens.redeem(&other, 2_000).await, Ok(Some(contract::grant("alice"))));
}

#[tokio::test]
async fn without_redis_it_is_said_so() {
    let mut server = Server::start();
    let tokens = tokens(&server).await;
    server.end();
    assert!(is_away(&tokens.keep(&token(), grant(), 1_000).await));
    assert!(is_away(&tokens.redeem(&token(), 2_000).await));
    assert!(is_away(&RedisTokens::connect(&Server::nowhere()).await));
    assert!(is_away(&RedisTokens::connect("lobby").await));
}

#[tokio::test]
async fn a_redis_that_hangs_is_given_up() {
    let server = Server::start();
    let tokens = tokens(&server).await;
    server.freeze();
    let began = std::time::Instant::now();
    assert!(is_away(&tokens.redeem(&token(), 2_000).await));
    assert!(began.elapsed().as_secs() < 10);
    server.thaw();
    assert_eq!(tokens.keep(&token(), grant(), 1_000).await, Ok(()));
}

#[tokio::test]
async fn a_full_redis_refuses_and_is_not_given_up() {
    let server = Server::start_with(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let tokens = tokens(&server).await;
    assert!(is_away(&tokens.keep(&token(), grant(), 1_000).await));
    server.command("CONFIG SET maxmemory 0");
    assert_eq!(tokens.keep(&token(), grant(), 1_000).await, Ok(()));
}
