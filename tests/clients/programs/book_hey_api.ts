// Sign in, find a slot, book, pay at the sandbox, cancel: with @hey-api/openapi-ts.
import assert from "node:assert/strict";
import { client } from "../made/hey-api/client.gen";
import {
  authSignIn,
  bookingCancel,
  bookingCreate,
  bookingGet,
  bookingPay,
  serviceList,
  serviceSlots,
} from "../made/hey-api";

const baseUrl = process.argv[2];
client.setConfig({ baseUrl });

const signedIn = await authSignIn({
  body: { email: "customer@demo.guildwire.test", password: "guild-wire-demo" },
  throwOnError: true,
});
client.setConfig({ baseUrl, auth: signedIn.data.access_token });

const service = (await serviceList({ query: { limit: 1 }, throwOnError: true })).data.items[0];
assert(service);
const found = await serviceSlots({ path: { service_id: service.id }, throwOnError: true });
const slot = found.data.slots[0];
assert(slot);

const booked = await bookingCreate({
  headers: { "Idempotency-Key": "hey-api" },
  body: { service_id: service.id, start_at: slot.start_at },
  throwOnError: true,
});
const amount: number = booked.data.total_amount;
assert(amount > 0);
const path = { booking_id: booked.data.booking_id };

const payment = await bookingPay({ path, throwOnError: true });
assert((await fetch(`${baseUrl}${payment.data.checkout_path}/pay`, { method: "POST" })).ok);
let status = "";
for (let tries = 0; status !== "SECURED" && tries < 100; tries += 1) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  status = (await bookingGet({ path, throwOnError: true })).data.payment_status;
}
assert.equal(status, "SECURED");

const cancelled = await bookingCancel({ path, body: {}, throwOnError: true });
assert.equal(cancelled.data.status, "CANCELLED");
const refused = await bookingCancel({ path, body: {} });
assert.equal(refused.error?.status, 409);
console.log(`booked, paid and cancelled ${booked.data.number}: ${amount} ${booked.data.currency}`);
