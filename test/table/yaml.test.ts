import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, formatPath, parseYaml, readYaml, strictShape } from '../../src/table/yaml.js';

const shape = strictShape({
  name: z.string(),
  kind: z.enum(['cat', 'dog']).default('cat'),
  age: z.int().min(0).max(30).optional(),
  friends: z.array(strictShape({ name: z.string().min(1), since: z.number().optional() })).min(1),
});

function problems(text: string): string[] {
  try {
    parseYaml(text, 'pets.yaml', shape, () => {});
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('parseYaml', () => {
  it('gives what has the right shape to be finished', () => {
    const text = 'name: Tom\nfriends:\n  - { name: Jerry }\n';
    expect(
      parseYaml(text, 'pets.yaml', shape, ({ name, kind, friends }) => [name, kind, friends[0].name]),
    ).toEqual(['Tom', 'cat', 'Jerry']);
  });

  it('tells every problem with its line, column and path', () => {
    const text = [
      'name: 5',
      'kind: bird',
      'age: 31',
      'frends: []',
      'colour: black',
      'friends:',
      '  - name: ""',
      '    since: yesterday',
      '  - {}',
      '  - { nam: Jerry }',
      '  -',
    ].join('\n');
    expect(problems(text)).toEqual([
      'pets.yaml:1:7: name: expected a text, got 5',
      'pets.yaml:2:7: kind: expected cat or dog, got "bird"',
      'pets.yaml:3:6: age: expected at most 30, got 31',
      'pets.yaml:7:11: friends[0].name: expected at least 1 character, got ""',
      'pets.yaml:8:12: friends[0].since: expected a number, got "yesterday"',
      'pets.yaml:9:5: friends[1].name: expected a text, got nothing',
      'pets.yaml:10:5: friends[2].name: expected a text, got nothing',
      'pets.yaml:10:7: friends[2].nam: unknown key, did you mean name?',
      'pets.yaml:11:4: friends[3]: expected a map, got null',
      'pets.yaml:4:1: frends: unknown key, did you mean friends?',
      'pets.yaml:5:1: colour: unknown key, known are name, kind, age, friends',
    ]);
  });

  it('tells an empty list, a fraction and a missing section where they belong', () => {
    expect(problems('name: Tom\nage: 1.5\nfriends: []')).toEqual([
      'pets.yaml:2:6: age: expected a whole number, got 1.5',
      'pets.yaml:3:1: friends: expected at least 1 entry, got []',
    ]);
    expect(problems('name: Tom')).toEqual(['pets.yaml:1:1: friends: expected a list, got nothing']);
    expect(problems('name: Tom\nfriends:')).toEqual(['pets.yaml:2:1: friends: expected a list, got null']);
    expect(problems('')).toEqual(['pets.yaml:1:1: expected a map, got null']);
    expect(problems('- name')).toEqual(['pets.yaml:1:1: expected a map, got ["name"]']);
  });

  it('shortens long values', () => {
    expect(problems(`name: [${'"aaaaaaaaa", '.repeat(20)}]\nfriends: [{ name: x }]`)[0]).toMatch(
      /, got \["a.{50,60}\.\.\.$/,
    );
  });

  it('tells what is no YAML', () => {
    expect(problems('name: [1\nfriends: 2')).toEqual([
      expect.stringMatching(/^pets\.yaml:2:1: Flow sequence in block collection/),
    ]);
    expect(problems('name: a\nname: b')).toEqual(['pets.yaml:2:1: Map keys must be unique']);
    expect(problems('name: a\n---\nname: b')).toEqual([
      'pets.yaml:2:1: a second document begins here: one file is one document',
    ]);
    expect(problems('name: *nobody')[0]).toMatch(/^pets\.yaml:1:7: .*nobody/);
    expect(problems('name: !secret a')[0]).toMatch(/^pets\.yaml:1:7: .*!secret/);
  });

  it('refuses aliases that blow up', () => {
    const levels = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
    for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg']) {
      levels.push(`${to}: &${to} [${new Array(10).fill(`*${from}`).join(', ')}]`);
    }
    expect(problems(levels.join('\n'))).toEqual([expect.stringMatching(/^pets\.yaml: .*alias/i)]);
  });

  it('refuses what the finishing reports, at its place or in another file', () => {
    const text = 'name: Tom\nfriends:\n  - name: Jerry\n  - name: Jerry\n';
    const finish = () =>
      parseYaml(text, 'pets.yaml', shape, (_, report) => {
        report.at(['friends', 1, 'name'], 'Jerry is there already');
        report.at(['friends'], 'too many');
        report.add({ file: 'mice.txt', line: 3, column: 2, path: 'friends', message: 'a mouse' });
        report.add({ file: 'mice.txt', path: '', message: 'full of mice' });
      });
    expect(finish).toThrow(
      [
        'pets.yaml:4:11: friends[1].name: Jerry is there already',
        'pets.yaml:2:1: friends: too many',
        'mice.txt:3:2: friends: a mouse',
        'mice.txt: full of mice',
      ].join('\n'),
    );
  });
});

describe('readYaml', () => {
  it('tells a file that cannot be read', () => {
    expect(() => readYaml('/nonexistent/pets.yaml', shape, () => {})).toThrow(
      '/nonexistent/pets.yaml: cannot be read (ENOENT: no such file or directory)',
    );
  });
});

describe('formatPath', () => {
  it('writes paths as people do', () => {
    expect(formatPath(['a', 0, 'b', 'c', 12])).toBe('a[0].b.c[12]');
    expect(formatPath([])).toBe('');
    expect(formatPath([3])).toBe('[3]');
  });
});
