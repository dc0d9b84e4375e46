# One file, several images: `upwrite` (every service), `stand-in` (a Salesforce to try things on).
#
#   docker build --target upwrite --tag upwrite .

FROM rust:1.95-bookworm AS build
# As scripts/install-system-packages: bindgen loads libclang, librdkafka is built with OpenSSL and zlib.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libclang-dev libssl-dev make pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin upwrite --bin upwrite-sandbox

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home upwrite

FROM base AS upwrite
COPY --from=build /src/target/release/upwrite /usr/local/bin/
USER upwrite
ENV UPWRITE_CONFIG=/etc/upwrite/upwrite.toml
# Applications, control API, metrics and health.
EXPOSE 6432 6433 9464
ENTRYPOINT ["/usr/local/bin/upwrite"]
CMD ["run"]

FROM base AS stand-in
RUN apt-get update \
    && apt-get install -y --no-install-recommends nginx-light openssl \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/upwrite-sandbox /usr/local/bin/
COPY deploy/stand-in /usr/local/share/stand-in
EXPOSE 443
ENTRYPOINT ["/usr/local/share/stand-in/start"]
CMD ["/var/lib/stand-in"]
