// Fastify as a yardstick: `plain` logs, verifies the token and serialises the view at every request, as its own first page shows; `tuned`
// logs and verifies nothing and hands out bytes made once.
import { readFileSync } from "node:fs";
import jwt from "@fastify/jwt";
import Fastify from "fastify";

const [kind, address, file] = process.argv.slice(2);
const [host, port] = address.split(":");
const bytes = readFileSync(file);
const views = new Map([["guest", JSON.parse(bytes)]]);

const server = Fastify({ logger: kind === "plain" });
await server.register(jwt, { secret: "a secret of the yardstick's own, long enough" });
server.get("/token", () => server.jwt.sign({ sub: "guest" }, { expiresIn: "1h" }));
server.get("/api/v1/me/coupons", async (request, reply) => {
  if (kind === "tuned") return reply.header("content-type", "application/json").send(bytes);
  await request.jwtVerify();
  return views.get(request.user.sub);
});
await server.listen({ host, port: Number(port) });
