import { WorkbenchApi } from '../src/api/rest';
import { lookAfter, piecesOf, PLAIN, plain } from '../src/model/ansi';
import { LogModel } from '../src/model/log';
import { LogLines, MOST } from '../src/model/loglines';
import { FakeServer, until } from './server';
import { job } from './things';

const ESC = '\u001b';

describe('colours of a terminal', () => {
  it('become pieces of one look each', () => {
    const line = `a${ESC}[1;31mb${ESC}[0mc${ESC}[38;5;208md${ESC}[48;2;1;2;3me`;
    expect(piecesOf(line, PLAIN)).toEqual([
      { text: 'a', look: {} },
      { text: 'b', look: { bold: true, ink: 1 } },
      { text: 'c', look: {} },
      { text: 'd', look: { ink: '#ff8700' } },
      { text: 'e', look: { ink: '#ff8700', ground: '#010203' } }
    ]);
    expect(plain(line)).toBe('abcde');
  });

  it('leave out what moves a cursor, titles and links', () => {
    expect(plain(`${ESC}[2K${ESC}[1Ax${ESC}]0;title\u0007y${ESC}(Bz`)).toContain('xy');
    expect(lookAfter(`${ESC}[91m${ESC}[39m${ESC}[7m`, PLAIN)).toMatchObject({ inverse: true });
  });
});

describe('the lines of a log', () => {
  it('come in pieces that end anywhere, and carry colours over their ends', () => {
    const lines = new LogLines();
    lines.append(`one\ntw`);
    expect([lines.length, lines.line(1)]).toEqual([2, 'tw']);
    lines.append(`o${ESC}[32m\nthree\n`);
    expect([lines.length, lines.line(1), lines.line(2)]).toEqual([3, `two${ESC}[32m`, 'three']);
    expect(lines.look(2)).toEqual({ ink: 2 });
  });

  it('show what a progress bar wrote last', () => {
    const lines = new LogLines();
    lines.append('\r10 %\r50 %');
    expect(lines.line(0)).toBe('50 %');
    lines.append('\r100 %\ndone\n');
    expect([lines.line(0), lines.line(1)]).toEqual(['100 %', 'done']);
  });

  it('are found in capitals or not, also through colours, from a line on', () => {
    const lines = new LogLines();
    lines.append(`Error\nfine\nan ${ESC}[1merr${ESC}[0mor`);
    expect(lines.find('error')).toEqual([0, 2]);
    expect(lines.find('error', 1)).toEqual([2]);
    expect(lines.find('')).toEqual([]);
  });

  it('drop the oldest where they never end, and cut one that has none', () => {
    const lines = new LogLines();
    const block = `${'x'.repeat(99)}\n`.repeat(10_000);
    for (let size = 0; size < 1.2 * MOST; size += block.length) {
      lines.append(block);
    }
    expect(lines.length * 100).toBeLessThanOrEqual(MOST + block.length);
    expect(lines.dropped).toBeGreaterThan(0);
    lines.clear();
    lines.append('y'.repeat(12_000));
    expect(lines.length).toBe(3);
  });
});

describe('a log that is followed', () => {
  function followed(): { server: FakeServer; log: LogModel } {
    const server = new FakeServer();
    server.jobs.all.set('job-1', job());
    return {
      server,
      log: new LogModel(new WorkbenchApi(server.settings()), 'job-1', 1, 'out')
    };
  }
  const all = (log: LogModel): string[] =>
    Array.from({ length: log.lines.length }, (_, at) => log.lines.line(at));

  it('is read in pieces to its end while it is awake', async () => {
    const { server, log } = followed();
    server.jobs.log = Array.from({ length: 40 }, (_, i) => `line ${i} ä€`).join('\n') + '\n';
    server.jobs.ended = true;
    expect(server.calls).toEqual([]);
    log.activate(true);
    await until('the end', () => log.ended);
    expect(all(log)).toHaveLength(40);
    expect(log.before).toBe(0);
    log.dispose();
  });

  it('begins with the end of a long one, and reads what was before on demand', async () => {
    const { server, log } = followed();
    server.jobs.piece = 64 * 1024;
    const lines = Array.from({ length: 30_000 }, (_, i) => `line ${i} ${'é'.repeat(10)}`);
    server.jobs.log = `${lines.join('\n')}\n`;
    server.jobs.ended = true;
    log.activate(true);
    await until('the end', () => log.ended);
    expect(all(log).at(-1)).toBe(lines.at(-1));
    expect(log.before).toBeGreaterThan(0);
    while (log.before > 0) {
      await log.earlier();
    }
    expect(all(log)).toEqual(lines);
    log.dispose();
  });

  it('begins anew where the ranks were restarted', async () => {
    const { server, log } = followed();
    server.jobs.log = 'first attempt\n';
    log.activate(true);
    await until('some of it', () => log.ready);
    server.jobs.attempt = 1;
    server.jobs.log = 'second attempt, and longer\n';
    server.jobs.ended = true;
    await until('the end', () => log.ended);
    expect(all(log)).toEqual(['second attempt, and longer']);
    log.dispose();
  });
});
