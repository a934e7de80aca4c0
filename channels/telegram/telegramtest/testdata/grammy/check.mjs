// Drives the Bot API server with grammY: what this client accepts, Telegram's
// own shapes are. Run by TestGrammY with API_ROOT and BOT_TOKEN set.
import assert from "node:assert/strict";
import { Bot, GrammyError, InputFile, InputMediaBuilder } from "grammy";

const root = process.env.API_ROOT;
const bot = new Bot(process.env.BOT_TOKEN, { client: { apiRoot: root } });
const ana = { id: 7001, first_name: "Ana", username: "ana" };

const control = async (path, body) => {
  const response = await fetch(root + "/control/" + path, body && { method: "POST", body: JSON.stringify(body) });
  assert.equal(response.status, 200, path);
  return response.json();
};
const next = (filter) => new Promise((resolve) => {
  const off = { done: false };
  bot.filter((ctx) => !off.done && ctx.has(filter)).use((ctx) => { off.done = true; resolve(ctx); });
});
const step = (name) => console.log("ok", name);

const hello = next("message:text"), edited = next("edited_message:text"), reacted = next("message_reaction");
const photo = next("message:photo");

await bot.init();
assert.equal(bot.botInfo.username, "omni_test_bot");
step("getMe");

const running = bot.start({ allowed_updates: ["message", "edited_message", "message_reaction"], onStart: () => step("start") });
const said = await control("say", { user: ana, text: "hello" });
const ctx = await hello;
assert.equal(ctx.message.text, "hello");
assert.equal(ctx.chat.type, "private");
assert.equal(ctx.update.update_id, said.updateId);
step("getUpdates");

const reply = await ctx.reply('<b>hi</b> 😀 <a href="https://example.com/">link</a> &lt;3', {
  parse_mode: "HTML", reply_parameters: { message_id: ctx.message.message_id },
});
assert.equal(reply.text, "hi 😀 link <3");
assert.deepEqual(reply.entities.map((e) => [e.type, e.offset, e.length]), [["bold", 0, 2], ["text_link", 6, 4]]);
assert.equal(reply.reply_to_message.message_id, ctx.message.message_id);
step("sendMessage");

const changed = await bot.api.editMessageText(ana.id, reply.message_id, "changed");
assert.equal(changed.text, "changed");
await assert.rejects(bot.api.editMessageText(ana.id, reply.message_id, "changed"), /message is not modified/);
step("editMessageText");

assert.equal(await bot.api.setMessageReaction(ana.id, ctx.message.message_id, [{ type: "emoji", emoji: "👍" }]), true);
await assert.rejects(bot.api.setMessageReaction(ana.id, ctx.message.message_id, [{ type: "emoji", emoji: "xyz" }]), /REACTION_INVALID/);
step("setMessageReaction");

await ctx.replyWithChatAction("typing");
step("sendChatAction");

await control("push", { kind: "edited_message", content: {
  message_id: said.messageId, from: ana, chat: { id: ana.id, type: "private", first_name: "Ana" }, edit_date: 1767225600, text: "hello!" } });
assert.equal((await edited).editedMessage.text, "hello!");
await control("push", { kind: "message_reaction", content: {
  chat: { id: ana.id, type: "private", first_name: "Ana" }, message_id: said.messageId, user: ana, old_reaction: [], new_reaction: [{ type: "emoji", emoji: "🔥" }] } });
assert.deepEqual((await reacted).reactions().emojiAdded, ["🔥"]);
step("edited_message, message_reaction");

const sent = await bot.api.sendDocument(ana.id, new InputFile(Buffer.from("bytes of a file"), "report.txt"), { caption: "<i>here</i>", parse_mode: "HTML" });
assert.equal(sent.document.file_name, "report.txt");
assert.equal(sent.caption, "here");
const info = await bot.api.getFile(sent.document.file_id);
const download = await fetch(`${root}/file/bot${process.env.BOT_TOKEN}/${info.file_path}`);
assert.equal(await download.text(), "bytes of a file");
step("sendDocument, getFile");

const album = await bot.api.sendMediaGroup(ana.id, [
  InputMediaBuilder.photo(new InputFile(Buffer.from("one"), "1.jpg"), { caption: "album" }),
  InputMediaBuilder.photo("https://example.com/2.jpg"),
]);
assert.equal(album.length, 2);
assert.equal(album[0].caption, "album");
assert.ok(album[1].photo.length > 0);
step("sendMediaGroup");

assert.equal((await bot.api.sendPhoto(ana.id, "https://example.com/x.jpg")).photo.length, 1);
assert.equal((await bot.api.sendLocation(ana.id, 1.5, 2.5)).location.latitude, 1.5);
assert.equal((await bot.api.sendVenue(ana.id, 1.5, 2.5, "Café", "Rua A")).venue.title, "Café");
assert.equal((await bot.api.sendContact(ana.id, "+55110", "Luis")).contact.first_name, "Luis");
assert.equal((await bot.api.sendPoll(ana.id, "Lunch?", [{ text: "yes" }, { text: "no" }])).poll.options.length, 2);
step("sendPhoto, sendLocation, sendVenue, sendContact, sendPoll");

assert.equal(await bot.api.deleteMessage(ana.id, reply.message_id), true);
await assert.rejects(bot.api.deleteMessage(ana.id, reply.message_id), /message to delete not found/);
step("deleteMessage");

const refusal = async (call) => {
  const error = await call.then(() => assert.fail("accepted"), (e) => e);
  assert.ok(error instanceof GrammyError, String(error));
  return error;
};
assert.match((await refusal(bot.api.sendMessage(ana.id, "<b>x", { parse_mode: "HTML" }))).description, /can't parse entities/);
assert.equal((await refusal(bot.api.sendMessage(ana.id, "x".repeat(4097)))).description, "Bad Request: message is too long");
assert.equal((await refusal(bot.api.sendMessage(ana.id, " "))).error_code, 400);
assert.equal((await refusal(bot.api.sendMessage(99, "x"))).description, "Bad Request: chat not found");
await control("fault", { method: "sendMessage", fault: { status: 429, retryAfter: 3 } });
const tooMany = await refusal(bot.api.sendMessage(ana.id, "x"));
assert.equal(tooMany.error_code, 429);
assert.equal(tooMany.parameters.retry_after, 3);
step("errors");

const file = await control("file", { name: "p.jpg", mimeType: "image/jpeg", text: "jpeg" });
await control("push", { kind: "message", content: { from: ana, chat: { id: ana.id, type: "private", first_name: "Ana" },
  photo: [{ file_id: file.fileId, file_unique_id: "u", width: 90, height: 90 }] } });
assert.equal((await (await photo).getFile()).file_size, 4);
step("photo update");

await bot.stop();
await running;
assert.equal(await bot.api.setWebhook("http://127.0.0.1:1/hook?x=y", { secret_token: "s" }), true);
assert.equal((await bot.api.getWebhookInfo()).url, "http://127.0.0.1:1/hook?x=y");
assert.match((await refusal(bot.api.getUpdates())).description, /can't use getUpdates method while webhook is active/);
assert.equal(await bot.api.deleteWebhook(), true);
assert.deepEqual(await bot.api.getUpdates({ timeout: 0 }), []);
step("webhook");

assert.deepEqual(await control("violations"), []);
step("all");
