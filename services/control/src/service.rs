//! Calls → what answers them.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgPool;
use tonic::{Request, Response, Status};
use upwrite_event_log::EventLog;

use crate::filter::{self, Filter, PageToken, ResumeToken};
use crate::mutations::{self, refused};
use crate::operations::{self, OneAtATime, Target};
use crate::v1::control_server::Control;
use crate::v1::{self, rebuild_request};
use crate::watch::{self, Watches};
use crate::{status, timeline};

pub(crate) struct Service {
    pub(crate) pool: PgPool,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) operations: OneAtATime,
    pub(crate) watches: Watches,
    pub(crate) version: String,
}

#[async_trait]
impl Control for Service {
    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(status::status(&self.pool, self.log.as_ref(), &self.version).await?))
    }

    async fn list_mutations(
        &self,
        request: Request<v1::ListMutationsRequest>,
    ) -> Result<Response<v1::ListMutationsResponse>, Status> {
        let request = request.into_inner();
        let filter = Filter::parse(request.filter)?;
        let after = PageToken::parse(&request.page_token)?;
        let (mutations, next) = mutations::list(&self.pool, &filter, after, filter::page_size(request.page_size))
            .await
            .map_err(|error| refused(&error))?;
        let next_page_token = next.map(|token| token.to_string()).unwrap_or_default();
        Ok(Response::new(v1::ListMutationsResponse { mutations, next_page_token }))
    }

    async fn get_mutation(
        &self,
        request: Request<v1::GetMutationRequest>,
    ) -> Result<Response<v1::GetMutationResponse>, Status> {
        let id = filter::mutation(&request.into_inner().id)?;
        let found = mutations::by_ids(&self.pool, &[id.0]).await.map_err(|error| refused(&error))?;
        let Some(mutation) = found.into_iter().next() else {
            return Err(Status::not_found(format!("upwrite.mutations knows no mutation {id}")));
        };
        let (timeline, incomplete) = timeline::read(self.log.as_ref(), id, &mutation).await;
        Ok(Response::new(v1::GetMutationResponse { mutation: Some(mutation), timeline, incomplete }))
    }

    type WatchMutationsStream = watch::WatchMessages;

    async fn watch_mutations(
        &self,
        request: Request<v1::WatchMutationsRequest>,
    ) -> Result<Response<Self::WatchMutationsStream>, Status> {
        let request = request.into_inner();
        let filter = Filter::parse(request.filter)?;
        let resume = ResumeToken::parse(&request.resume_token)?;
        Ok(Response::new(self.watches.watch(filter, resume)?))
    }

    type RebuildStream = operations::ProgressMessages;

    async fn rebuild(&self, request: Request<v1::RebuildRequest>) -> Result<Response<Self::RebuildStream>, Status> {
        let target = match request.into_inner().target {
            Some(rebuild_request::Target::Table(table)) => Target::Table(filter::table(&table)?),
            Some(rebuild_request::Target::Projections(true)) => Target::Projections,
            _ => return Err(Status::invalid_argument("target: name a table, or ask for the projections")),
        };
        tracing::info!(?target, "rebuild asked for");
        Ok(Response::new(self.operations.rebuild(target).await?))
    }

    type RecoverStream = operations::ProgressMessages;

    async fn recover(&self, _: Request<v1::RecoverRequest>) -> Result<Response<Self::RecoverStream>, Status> {
        tracing::info!("recovery asked for");
        Ok(Response::new(self.operations.recover().await?))
    }
}
