# Builds one static-asset-carrying binary and puts it alone into a small image without a shell.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin guest-cabinet \
    && mkdir /state

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/guest-cabinet /usr/local/bin/guest-cabinet
COPY --from=build --chown=nonroot:nonroot /state /var/lib/guest-cabinet
ENV CABINET_LISTEN=0.0.0.0:8080 \
    CABINET_ADMIN_LISTEN=0.0.0.0:9090
EXPOSE 8080 9090
VOLUME /var/lib/guest-cabinet
USER nonroot
ENTRYPOINT ["/usr/local/bin/guest-cabinet"]
CMD ["serve", "--config", "/etc/guest-cabinet/cabinet.toml"]
