// xAI's REST client against its stand-in: node xai.mjs BASE_URL.
// @ai-sdk/xai 5 needs Node 22; 3.0.138 is the newest line for Node 20 and speaks the same protocol.
import assert from 'node:assert/strict';
import { createXai } from '@ai-sdk/xai';
import { APICallError, experimental_generateVideo as generateVideo, generateImage } from 'ai';

const baseURL = process.argv[2];
const control = order =>
  fetch(new URL('/emulator/control', baseURL), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(order),
  });
const xai = createXai({ apiKey: 'test-key-1', baseURL });
const image = xai.image('grok-imagine-image-2.0');
const isPng = bytes => Buffer.from(bytes).subarray(1, 4).toString() === 'PNG';

const made = await generateImage({
  model: image, prompt: 'a fox', n: 2, aspectRatio: '16:9', maxRetries: 0,
  providerOptions: { xai: { resolution: '2k', quality: 'medium', user: 'someone' } },
});
assert.equal(made.images.length, 2);
assert(made.images.every(one => isPng(one.uint8Array)));
console.log('xai: images/generations parsed');

const source = Buffer.from(made.images[0].uint8Array);
for (const images of [[source], [source, source]]) {
  const edited = await generateImage({ model: image, prompt: { text: 'a blue fox', images }, maxRetries: 0 });
  assert(isPng(edited.image.uint8Array));
}
console.log('xai: images/edits parsed');

// Two polls are answered with 202, the first of them without a body.
await control({ polls: 2 });
// Its own download refuses loopback.
const download = async ({ url }) => {
  const answer = await fetch(url);
  return { data: new Uint8Array(await answer.arrayBuffer()), mediaType: 'video/mp4' };
};
const pace = { pollIntervalMs: 10, pollTimeoutMs: 5000 };
const clip = await generateVideo({
  model: xai.video('grok-imagine-video-1.5'), prompt: 'a fox', duration: 6, aspectRatio: '16:9', maxRetries: 0,
  download, providerOptions: { xai: { ...pace, resolution: '720p' } },
});
assert.equal(Buffer.from(clip.video.uint8Array).subarray(4, 8).toString(), 'ftyp');
await generateVideo({
  model: xai.video('grok-imagine-video-1.5'), prompt: { text: 'it runs', image: source }, duration: 6,
  maxRetries: 0, download, providerOptions: { xai: pace },
});
await generateVideo({
  model: xai.video('grok-imagine-video-1.5'), prompt: 'it runs on', duration: 6, maxRetries: 0,
  download, providerOptions: { xai: { ...pace, mode: 'extend-video', videoUrl: 'https://example.com/a.mp4' } },
});
console.log('xai: videos parsed');

const refused = call => call.then(() => assert.fail('no error'), error => error);
let error = await refused(generateImage({ model: xai.image('no-such-model'), prompt: 'a fox', maxRetries: 0 }));
assert(APICallError.isInstance(error) && error.statusCode === 404, error);
const body = { code: 'imagine:content-moderated', error: 'Held back.' };
await control({ fault: 'answer', status: 400, body });
error = await refused(generateImage({ model: image, prompt: 'a fox', maxRetries: 0 }));
assert(APICallError.isInstance(error) && error.message === 'imagine:content-moderated: Held back.', error);
await control({ fault: 'end', body: { status: 'done', video: { url: '', respect_moderation: false } } });
error = await refused(generateVideo({
  model: xai.video('grok-imagine-video-1.5'), prompt: 'a fox', maxRetries: 0, providerOptions: { xai: pace },
}));
assert.equal(error.name, 'XAI_VIDEO_MODERATION_ERROR', error);
console.log('xai: errors are its own');
