//! The flags of a store.

use core::time::Duration;

use super::address::Address;

/// The flags of a program that shares its state with other nodes; flatten them into its own.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct RedisArgs {
    /// Redis that all nodes of a deployment share: redis://USER:PASSWORD@HOST:PORT/DATABASE.
    /// Without it there is one node.
    // A string, and not a type of its own: clap would repeat a bad value, and its password.
    #[arg(
        long,
        value_name = "URL",
        env = "SOCKEYE_REDIS",
        hide_env_values = true,
        help_heading = "Several nodes"
    )]
    pub redis: Option<String>,

    /// Start without Redis if it cannot be reached, degraded until it can.
    #[arg(long, requires = "redis", help_heading = "Several nodes")]
    pub redis_optional: bool,

    /// Time after which a node that gives no sign of life counts as dead, at least 1s.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = lease, help_heading = "Several nodes")]
    pub lease: Duration,
}

/// What a cluster needs to know.
#[derive(Clone)]
pub struct Settings {
    /// The URL of the Redis.
    pub url: String,
    /// What all keys and channels begin with, such as `sockeye:chat:`.
    pub prefix: &'static str,
    /// Whether to start degraded if it cannot be reached.
    pub optional: bool,
    /// How long a node's lease is valid; it is renewed three times in this time.
    pub lease: Duration,
}

impl RedisArgs {
    /// What the flags ask for; `None` for a node that is alone.
    #[must_use]
    pub fn settings(&self, prefix: &'static str) -> Option<Settings> {
        Some(Settings {
            url: self.redis.clone()?,
            prefix,
            optional: self.redis_optional,
            lease: self.lease,
        })
    }
}

impl Settings {
    /// The full name of a channel of the deployment.
    ///
    /// Channels know no databases, and two deployments may use two databases of one Redis: so
    /// the number of the database is part of the name.
    #[must_use]
    pub fn channel(&self, name: &str) -> String {
        // What cannot be parsed cannot be connected to either.
        let database = Address::parse(&self.url).map_or(0, |address| address.database());
        format!("{}{name}@{database}", self.prefix)
    }
}

fn lease(text: &str) -> Result<Duration, &'static str> {
    match humantime::parse_duration(text) {
        Ok(lease) if (1..=3600).contains(&lease.as_secs()) => Ok(lease),
        _ => Err("not a time from 1s to 1h, such as 15s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_has_its_own_channels() {
        let channel = |url: &str| {
            let settings = Settings {
                url: url.into(),
                prefix: "sockeye:test:",
                optional: false,
                lease: Duration::from_secs(15),
            };
            settings.channel("changes")
        };
        assert_eq!(channel("redis://host"), "sockeye:test:changes@0");
        assert_eq!(channel("redis://host/7"), "sockeye:test:changes@7");
    }
}
