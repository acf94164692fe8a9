/** What an answer rests on, for people: sections of the document, and what tools looked up. */

import { anchorOf } from './document.js';

/**
 * @param {string[]} sections Ids of the cited sections.
 * @param {{section: string, title: string, text: string}[]} lookedUp Those of them that tools gave.
 * @param {(id: string) => string | undefined} titleOf The title of a section of the document.
 * @returns {{titles: (Node | string)[], texts: Node[]}} Titles with commas between, and the text of
 *   what was looked up. What neither knows is left out: a tool's is known once the decision comes.
 */
export function sourcesOf(sections, lookedUp, titleOf) {
  const given = new Map(lookedUp.map((each) => [each.section, each]));
  const titles = sections.flatMap((id) => {
    const title = given.get(id)?.title ?? titleOf(id);
    if (!title) return [];
    if (given.has(id)) return [make('span', 'looked-up', title)];
    const link = make('a', '', title);
    link.href = `#${anchorOf(id)}`;
    return [link];
  });
  return {
    titles: titles.flatMap((title, at) => (at ? [', ', title] : [title])),
    texts: sections.flatMap((id) => (given.has(id) ? [make('q', 'looked-up-text', given.get(id).text)] : [])),
  };
}

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.textContent = text;
  return element;
}
