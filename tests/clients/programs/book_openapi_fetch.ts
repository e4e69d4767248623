// Sign in, find a slot, book, pay at the sandbox, cancel: with openapi-typescript and openapi-fetch.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "../made/openapi-typescript";

const baseUrl = process.argv[2];
const api = createClient<paths>({ baseUrl });

const signedIn = await api.POST("/auth/signin/", {
  body: { email: "customer@demo.guildwire.test", password: "guild-wire-demo" },
});
assert(signedIn.data);
const authorization = `Bearer ${signedIn.data.access_token}`;
api.use({ onRequest: ({ request }) => request.headers.set("Authorization", authorization) });

const service = (await api.GET("/services/", { params: { query: { limit: 1 } } })).data?.items[0];
assert(service);
const found = await api.GET("/services/{service_id}/slots", { params: { path: { service_id: service.id } } });
const slot = found.data?.slots[0];
assert(slot);

const booked = await api.POST("/bookings/", {
  params: { header: { "Idempotency-Key": "openapi-fetch" } },
  body: { service_id: service.id, start_at: slot.start_at },
});
assert(booked.data);
const amount: number = booked.data.total_amount;
assert(amount > 0);
const path = { booking_id: booked.data.booking_id };

const payment = await api.POST("/bookings/{booking_id}/pay", { params: { path } });
assert(payment.data);
assert((await fetch(`${baseUrl}${payment.data.checkout_path}/pay`, { method: "POST" })).ok);
let status = "";
for (let tries = 0; status !== "SECURED" && tries < 100; tries += 1) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  status = (await api.GET("/bookings/{booking_id}/", { params: { path } })).data?.payment_status ?? "";
}
assert.equal(status, "SECURED");

const cancelled = await api.POST("/bookings/{booking_id}/cancel", { params: { path }, body: {} });
assert.equal(cancelled.data?.status, "CANCELLED");
const refused = await api.POST("/bookings/{booking_id}/cancel", { params: { path }, body: {} });
assert.equal(refused.error?.status, 409);
console.log(`booked, paid and cancelled ${booked.data.number}: ${amount} ${booked.data.currency}`);
