//! Tenants.

use super::Engine;
use crate::chance;
use crate::domain::ids::ServiceId;
use crate::domain::service::{Secret, Service, service_id};
use crate::error::EngineError;

/// What a tenant authenticates with.
#[derive(Debug)]
pub struct Credentials {
    /// The public half.
    pub client: ServiceId,
    /// The secret half; this is the only time that it is known.
    pub secret: Secret,
}

impl Engine {
    /// Makes a service.
    pub async fn create_service(&self) -> Result<Credentials, EngineError> {
        self.check_open()?;
        let (client, secret) = (service_id(chance::bytes()?), Secret::from_random(chance::bytes()?));
        let service = Service {
            secret_hash: self.hasher.hash(&client, secret.reveal()),
            id: client.clone(),
            created_ms: self.shared.clock.now().unix_ms,
        };
        self.shared.directory.create_service(service).await?;
        Ok(Credentials { client, secret })
    }

    /// The service with these credentials, if there is one.
    pub async fn authenticate(&self, client: &str, secret: &str) -> Result<Option<ServiceId>, EngineError> {
        let Ok(id) = ServiceId::parse(client) else { return Ok(None) };
        let known = self.services.get(&id).map(|service| service.clone());
        let service = match known {
            Some(service) => service,
            None => match self.shared.directory.service(&id).await? {
                Some(service) => service,
                None => return Ok(None),
            },
        };
        if !self.hasher.verify(&service, secret) {
            return Ok(None);
        }
        if !self.services.contains_key(&id) {
            self.services.insert(id.clone(), service);
        }
        Ok(Some(id))
    }
}
