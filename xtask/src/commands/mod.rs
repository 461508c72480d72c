//! One file a command.

pub mod bench;
pub mod build;
pub mod build_image;
pub mod bundle;
pub mod check;
pub mod config;
pub mod deploy;
pub mod fleet;
pub mod fuzz;
pub mod invoke;
pub mod miri;
pub mod new;
pub mod profile;
pub mod run;
pub mod runtime;
pub mod soak;
pub mod symbolise;
pub mod test;

use clap::Args;

/// Where the node is that a command talks to.
#[derive(Args, Debug)]
pub struct NodeArguments {
    /// Address of the node; the variables are those of `hk`.
    #[arg(long, value_name = "URL", env = "HK_URL", default_value = "http://127.0.0.1:3233")]
    url: String,
    /// Key for the node, USER:PASSWORD; the public development key if absent.
    #[arg(long, value_name = "KEY", env = "HK_KEY", hide_env_values = true)]
    key: Option<String>,
}

impl NodeArguments {
    /// A client for that node.
    pub fn client(&self) -> hk::Client {
        let client = hk::Client::new(&self.url);
        match &self.key {
            Some(key) => client.with_key(key),
            None => client,
        }
    }
}
