# The image of `onhook serve`: built in one stage, run in another that holds no compiler.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The queries are checked against the committed .sqlx: no database at build time.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin onhook \
    && cp target/release/onhook /usr/local/bin/onhook

FROM debian:bookworm-slim
# curl asks for the health below.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin onhook
COPY --from=build /usr/local/bin/onhook /usr/local/bin/onhook
COPY LICENSE /usr/share/doc/onhook/LICENSE
USER onhook
WORKDIR /
# Inside a container loopback would reach nobody.
ENV ONHOOK_LISTEN=0.0.0.0:8080
EXPOSE 8080
# SIGTERM drains: calls are left running and are found again by the next start.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["onhook"]
CMD ["serve"]
