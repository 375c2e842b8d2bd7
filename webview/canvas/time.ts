/** The time line of a video and what is shown below it, as parts of the canvas. */
import { html, nothing } from 'lit';
import type { Picture } from '../../src/worker/protocol';
import type { Canvas } from './canvas';
import { neuronNames } from './channels';
import type { Part } from './parts';
import type { Topic } from './throughTime';
import './throughTime';
import './timeline';

const topics: readonly { readonly id: Topic; readonly name: string; readonly title: string }[] = [
  { id: 'motion', name: 'Motion', title: 'What changed from the frame before, and what moved' },
  { id: 'neurons', name: 'Over time', title: 'The selected neurons, frame by frame' },
  { id: 'objects', name: 'Objects', title: 'What neurons do for objects, from a folder of label images' },
];

const defaults = { topic: '' as string };

export const timePart: Part = {
  slot: 'underPicture',
  render: (canvas) => {
    const { session } = canvas;
    const frames = session.view?.inspection?.signal.frames ?? 1;
    if (frames < 2 || session.view?.frame === undefined) return nothing;
    const { topic } = canvas.kept('time', defaults);
    return html`<div class="time">
      <div class="row">
        <nc-timeline
          .host=${session.host}
          .trace=${session.view?.id.replace(/(#\d+)@[^@#]*$/, '$1') ?? ''}
          .frames=${frames}
          .frame=${session.selection.frame}
          .traced=${session.view?.frame ?? null}
          .psnr=${session.view?.psnr ?? null}
          .problem=${session.view?.frameError ?? null}
          @show-still=${({ detail }: CustomEvent<Picture>) => canvas.showStill(detail)}
          @scrub=${({ detail }: CustomEvent<boolean>) => canvas.scrub(detail)}
          @move-frame=${({ detail }: CustomEvent<number>) => session.select({ frame: detail })}
        ></nc-timeline>
        <div class="topics" role="group" aria-label="Through time">
          ${topics.map(
            ({ id, name, title }) =>
              html`<button
                data-testid="topic-${id}"
                aria-pressed=${id === topic}
                title=${title}
                @click=${() => canvas.keep('time', { topic: id === topic ? '' : id })}
              >
                ${name}
              </button>`,
          )}
        </div>
      </div>
      ${topics.some(({ id }) => id === topic) ? drawer(canvas, topic as Topic) : nothing}
    </div>`;
  },
};

const drawer = (canvas: Canvas, topic: Topic) =>
  html`<nc-through-time
    .host=${canvas.session.host}
    .topic=${topic}
    .trace=${canvas.session.view?.id ?? ''}
    .frame=${canvas.moving ? null : (canvas.session.view?.frame ?? null)}
    .layer=${canvas.layerIndex}
    .names=${canvas.session.names}
    .selected=${canvas.selected}
    .colours=${canvas.theme.magnitude}
    .neuronName=${neuronNames(canvas.layer)}
    @pick-neuron=${({ detail }: CustomEvent<number>) => canvas.choose([detail])}
  ></nc-through-time>`;
