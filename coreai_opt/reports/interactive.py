"""Sorting and filtering the tables of a page, by a script that needs no framework."""

import base64
import hashlib

SCRIPT = """
for (const table of document.querySelectorAll('table')) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  const key = (row, column) => {
    const text = row.cells[column].textContent;
    const number = parseFloat(text.replaceAll(',', ''));
    return text === 'exact' ? Infinity : isNaN(number) ? text : number;
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement('button');
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== 'ascending';
      for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a, column), y = key(b, column);
        const order = typeof x === typeof y ? (x > y) - (x < y) : typeof x === 'string' ? 1 : -1;
        return up ? order : -order;
      });
      body.append(...rows);
    });
  });
  if (body.rows.length < 8) continue;
  const filter = document.createElement('input');
  filter.type = 'search';
  filter.placeholder = 'filter';
  filter.setAttribute('aria-label', 'show rows that contain');
  filter.addEventListener('input', () => {
    const wanted = filter.value.toLowerCase();
    for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  table.parentElement.before(filter);
}
"""
"""Makes the heads of tables buttons that sort, and puts a field before long ones that filters."""

DIGEST = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
"""SHA-256 of the script: a browser that is told it runs this script and no other."""

STYLE = """
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--bar); }
th[aria-sort=ascending] button::after { content: ' \\25b2'; }
th[aria-sort=descending] button::after { content: ' \\25bc'; }
input[type=search] { font: inherit; margin: 0 0 .5rem; padding: .2rem .5rem; width: 16rem;
  max-width: 100%; box-sizing: border-box; color: inherit; background: var(--page);
  border: 1px solid var(--line); border-radius: 4px; }
"""
"""The style sheet of what the script makes. It needs ``--bar``, ``--line`` and ``--page``."""
