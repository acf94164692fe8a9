/**
 * `<viva-call>`: the call page in a frame on a page of another site, which the operator lists in
 * EMBED_ORIGINS. The site's own policy must allow this server for scripts and frames.
 *
 *     <script type="module" src="https://viva.example.com/embed.js"></script>
 *     <viva-call></viva-call>
 */

const PAGE = new URL('embed', import.meta.url);

/** What the frame may do: it runs Viva's own origin, apart from the site's. */
const SANDBOX = 'allow-scripts allow-same-origin allow-forms allow-popups '
  + 'allow-popups-to-escape-sandbox allow-downloads';

class VivaCall extends HTMLElement {
  connectedCallback() {
    if (this.firstElementChild) return;
    const frame = this.ownerDocument.createElement('iframe');
    frame.setAttribute('sandbox', SANDBOX);
    frame.allow = `microphone ${PAGE.origin}; autoplay ${PAGE.origin}; `
      + `speaker-selection ${PAGE.origin}; screen-wake-lock ${PAGE.origin}; `
      + `clipboard-write ${PAGE.origin}`;
    frame.title = this.getAttribute('label') ?? 'Call this document';
    frame.loading = 'lazy';
    frame.referrerPolicy = 'no-referrer';
    frame.src = PAGE.href;
    // Set one by one, which no policy on styles forbids.
    Object.assign(this.style, { display: this.style.display || 'block' });
    Object.assign(frame.style, { width: '100%', height: '100%', minHeight: '44rem', border: '0' });
    this.append(frame);
  }
}

if (!customElements.get('viva-call')) customElements.define('viva-call', VivaCall);
