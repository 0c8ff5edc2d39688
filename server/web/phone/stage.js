/** Faces: the other one's picture over the whole stage, one's own in a corner. */

import { html, useEffect, useRef, useState } from "/assets/vendor/preact-htm/preact-htm.js";
import { Icon } from "./icons.js";
import { Avatar } from "./parts.js";

export function Stage({ call, speaker }) {
  const video = call.peerMedia.video && call.remote !== null && call.state === "connected";
  const own = call.media.video && call.local !== null;
  const waiting = call.state === "requested" || call.state === "ringing";
  return html`<div class=${`stage ${video ? "with-video" : ""}`}>
    <${Remote} stream=${call.remote} shown=${video} speaker=${speaker} name=${call.peer.name} />
    ${!video &&
    html`<div class=${`stage-avatar ${waiting ? "waiting" : ""}`}>
      <${Avatar} name=${call.peer.name} url=${call.peer.avatarUrl} size="giant" />
    </div>`}
    ${own && html`<${Self} stream=${call.local} />`}
    ${call.media.hold && html`<p class="stage-word">You are on hold</p>`}
  </div>`;
}

/** Plays sound also while no picture is shown. */
function Remote({ stream, shown, speaker, name }) {
  const player = useRef(null);
  const [mute, setMute] = useState(false);
  const play = () => {
    // Without a press of the page before some browsers do not let it sound.
    player.current?.play().then(
      () => setMute(false),
      (error) => setMute(error.name === "NotAllowedError"),
    );
  };
  useEffect(() => {
    if (player.current.srcObject !== stream) player.current.srcObject = stream;
    if (stream) play();
  }, [stream]);
  useEffect(() => {
    player.current.setSinkId?.(speaker).catch(() => {});
  }, [speaker]);
  return html`
    <video class="remote" ref=${player} autoplay playsinline hidden=${!shown} aria-label=${`${name}, live`}></video>
    ${mute &&
    html`<button class="button main unmute" type="button" onClick=${play}>
      <${Icon} name="play" size=${20} /> Press to hear ${name}
    </button>`}
  `;
}

function Self({ stream }) {
  const player = useRef(null);
  useEffect(() => {
    player.current.srcObject = stream;
  }, [stream]);
  return html`<video class="self" ref=${player} autoplay playsinline muted aria-label="You"></video>`;
}
