# The hub without the embedded stack: docker-compose.yml brings the parts.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -tags slim \
    -ldflags "-s -w -X github.com/omnihub/omni/internal/cli.version=${VERSION}" -o /omni ./cmd/omni \
    && mkdir /data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /omni /omni
COPY --from=build --chown=nonroot:nonroot /data /data
COPY LICENSE NOTICE /
VOLUME /data
EXPOSE 8881
ENTRYPOINT ["/omni"]
CMD ["serve"]
