# Builds one static-asset-carrying binary and puts it alone into a small image without a shell.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin guest-cabinet \
    && mkdir /state \
    && printf 'listen = "0.0.0.0:8080"\nadmin_listen = "0.0.0.0:9090"\n' > /defaults.toml

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/guest-cabinet /usr/local/bin/guest-cabinet
COPY --from=build --chown=nonroot:nonroot /state /var/lib/guest-cabinet
# Under the mounted file, so that what it says counts.
COPY --from=build /defaults.toml /usr/share/guest-cabinet/defaults.toml
ENV GUEST_CABINET_DEFAULTS=/usr/share/guest-cabinet/defaults.toml
EXPOSE 8080 9090
VOLUME /var/lib/guest-cabinet
USER nonroot
ENTRYPOINT ["/usr/local/bin/guest-cabinet"]
CMD ["serve", "--config", "/etc/guest-cabinet/cabinet.toml"]
